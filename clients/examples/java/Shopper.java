import com.google.protobuf.FieldMask;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Timestamp;
import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Instant;
import java.util.Locale;
import portrait.v1.Event;
import portrait.v1.EventServiceGrpc;
import portrait.v1.EventType;
import portrait.v1.GetProfileRequest;
import portrait.v1.Profile;
import portrait.v1.ProfileServiceGrpc;
import portrait.v1.RankedItem;
import portrait.v1.RecommendRequest;
import portrait.v1.RecommendationServiceGrpc;
import portrait.v1.RecordEventsRequest;
import portrait.v1.ShopperEvent;
import portrait.v1.ShopperRef;

/** Records events of a shopper and gets recommendations: java Shopper ADDRESS SHOPPER_ID. */
public final class Shopper {
  public static void main(String[] args) throws InvalidProtocolBufferException {
    ManagedChannel channel = ManagedChannelBuilder.forTarget(args[0]).usePlaintext().build();
    try {
      call(channel, args[1]);
    } finally {
      channel.shutdownNow();
    }
  }

  private static void call(ManagedChannel channel, String shopperId) throws InvalidProtocolBufferException {
    Timestamp now = Timestamp.newBuilder().setSeconds(Instant.now().getEpochSecond()).build();
    Event.Builder search =
        Event.newBuilder().setEventId(shopperId + "-1").setType(EventType.EVENT_TYPE_SEARCH).setTime(now);
    Event.Builder view = Event.newBuilder().setEventId(shopperId + "-2").setType(EventType.EVENT_TYPE_VIEW).setTime(now);
    RecordEventsRequest events =
        RecordEventsRequest.newBuilder()
            .addEvents(ShopperEvent.newBuilder().setShopperId(shopperId).setEvent(search.setQuery("red desk lamp")))
            .addEvents(ShopperEvent.newBuilder().setShopperId(shopperId).setEvent(view.setItemId("desk-lamp-red")))
            .build();
    System.out.println("accepted " + EventServiceGrpc.newBlockingStub(channel).recordEvents(events).getAccepted());

    ShopperRef shopper = ShopperRef.newBuilder().setShopperId(shopperId).build();
    GetProfileRequest request =
        GetProfileRequest.newBuilder()
            .setShopper(shopper)
            .setFields(FieldMask.newBuilder().addPaths("release").addPaths("event_count").addPaths("embedding"))
            .build();
    Profile profile = ProfileServiceGrpc.newBlockingStub(channel).getProfile(request).getProfile();
    System.out.println("release " + profile.getRelease() + ", events " + profile.getEventCount());
    double square = 0;
    for (float value : profile.getEmbedding().getValuesList()) {
      square += (double) value * value;
    }
    int count = profile.getEmbedding().getValuesCount();
    System.out.printf(Locale.ROOT, "embedding of %d numbers, length %.3f%n", count, Math.sqrt(square));

    RecommendationServiceGrpc.RecommendationServiceBlockingStub recommendations =
        RecommendationServiceGrpc.newBlockingStub(channel);
    RecommendRequest.Builder recommend = RecommendRequest.newBuilder().setShopper(shopper);
    for (RankedItem ranked : recommendations.recommend(recommend.setQuery("desk lamp").setK(3).build()).getItemsList()) {
      System.out.println("recommended " + ranked.getItem().getItemId());
    }

    recommend.clearQuery();
    show(recommendations, recommend.setK(-1).build());
    show(recommendations, recommend.setK(3).setCatalogue("nowhere").build());
  }

  /** Prints the reason of an error, and each field at fault. */
  private static void show(
      RecommendationServiceGrpc.RecommendationServiceBlockingStub recommendations, RecommendRequest request)
      throws InvalidProtocolBufferException {
    try {
      recommendations.recommend(request);
    } catch (StatusRuntimeException refusal) {
      String reason = "";
      BadRequest broken = BadRequest.getDefaultInstance();
      for (Any detail : StatusProto.fromThrowable(refusal).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          reason = detail.unpack(ErrorInfo.class).getReason();
        } else if (detail.is(BadRequest.class)) {
          broken = detail.unpack(BadRequest.class);
        }
      }
      for (BadRequest.FieldViolation violation : broken.getFieldViolationsList()) {
        String code = refusal.getStatus().getCode().name();
        System.out.println(code + " " + reason + " " + violation.getField() + ": " + violation.getDescription());
      }
    }
  }
}
