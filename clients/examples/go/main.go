// Record events of a shopper and get recommendations: go run . ADDRESS SHOPPER_ID
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "portrait/v1"
)

func main() {
	address, shopperID := os.Args[1], os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	connection, err := grpc.DialContext(ctx, address, grpc.WithInsecure()) // TLS: grpc.WithTransportCredentials
	check(err)
	defer connection.Close()

	now := timestamppb.Now()
	recorded, err := pb.NewEventServiceClient(connection).RecordEvents(ctx, &pb.RecordEventsRequest{
		Events: []*pb.ShopperEvent{
			{ShopperId: shopperID, Event: &pb.Event{
				EventId: shopperID + "-1", Type: pb.EventType_EVENT_TYPE_SEARCH, Time: now, Query: "red desk lamp"}},
			{ShopperId: shopperID, Event: &pb.Event{
				EventId: shopperID + "-2", Type: pb.EventType_EVENT_TYPE_VIEW, Time: now, ItemId: "desk-lamp-red"}},
		},
	})
	check(err)
	fmt.Printf("accepted %d\n", recorded.Accepted)

	shopper := &pb.ShopperRef{Shopper: &pb.ShopperRef_ShopperId{ShopperId: shopperID}}
	answer, err := pb.NewProfileServiceClient(connection).GetProfile(ctx, &pb.GetProfileRequest{
		Shopper: shopper,
		Fields:  &fieldmaskpb.FieldMask{Paths: []string{"release", "event_count", "embedding"}},
	})
	check(err)
	profile := answer.Profile
	fmt.Printf("release %d, events %d\n", profile.Release, profile.EventCount)
	var square float64
	for _, value := range profile.Embedding.Values {
		square += float64(value) * float64(value)
	}
	fmt.Printf("embedding of %d numbers, length %.3f\n", len(profile.Embedding.Values), math.Sqrt(square))

	recommendations := pb.NewRecommendationServiceClient(connection)
	best, err := recommendations.Recommend(ctx, &pb.RecommendRequest{Shopper: shopper, Query: "desk lamp", K: 3})
	check(err)
	for _, ranked := range best.Items {
		fmt.Printf("recommended %s\n", ranked.Item.ItemId)
	}

	_, err = recommendations.Recommend(ctx, &pb.RecommendRequest{Shopper: shopper, K: -1})
	show(err)
	_, err = recommendations.Recommend(ctx, &pb.RecommendRequest{Shopper: shopper, K: 3, Catalogue: "nowhere"})
	show(err)
}

// show prints the reason of an error, and each field at fault.
func show(err error) {
	var reason string
	var violations []*errdetails.BadRequest_FieldViolation
	refusal := status.Convert(err)
	for _, detail := range refusal.Details() {
		switch found := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = found.Reason
		case *errdetails.BadRequest:
			violations = found.FieldViolations
		}
	}
	for _, violation := range violations {
		fmt.Printf("%s %s %s: %s\n", names[refusal.Code().String()], reason, violation.Field, violation.Description)
	}
}

// names are the names of status codes in the spelling of other languages.
var names = map[string]string{"InvalidArgument": "INVALID_ARGUMENT", "NotFound": "NOT_FOUND"}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
