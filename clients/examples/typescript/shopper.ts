// Record events of a shopper and get recommendations: node build/shopper.js ADDRESS SHOPPER_ID
import { createChannel, createClientFactory, Status } from 'nice-grpc';
import { BadRequest, ErrorInfo, errorDetailsClientMiddleware, RichClientError } from 'nice-grpc-error-details';

import { EventServiceDefinition } from './generated/portrait/v1/event_service';
import { ProfileServiceDefinition } from './generated/portrait/v1/profile_service';
import { RecommendationServiceDefinition } from './generated/portrait/v1/recommendation_service';
import { EventType } from './generated/portrait/v1/event';

async function main(address: string, shopperId: string): Promise<void> {
  const channel = createChannel(address); // TLS: a second argument, ChannelCredentials.createSsl()
  const clients = createClientFactory().use(errorDetailsClientMiddleware);
  const events = clients.create(EventServiceDefinition, channel);
  const profiles = clients.create(ProfileServiceDefinition, channel);
  const recommendations = clients.create(RecommendationServiceDefinition, channel);

  const time = new Date();
  const recorded = await events.recordEvents({
    events: [
      {
        shopperId,
        event: { eventId: `${shopperId}-1`, type: EventType.EVENT_TYPE_SEARCH, time, query: 'red desk lamp' },
      },
      {
        shopperId,
        event: { eventId: `${shopperId}-2`, type: EventType.EVENT_TYPE_VIEW, time, itemId: 'desk-lamp-red' },
      },
    ],
  });
  console.log(`accepted ${recorded.accepted}`);

  const shopper = { shopperId };
  const { profile } = await profiles.getProfile({ shopper, fields: ['release', 'event_count', 'embedding'] });
  console.log(`release ${profile?.release}, events ${profile?.eventCount}`);
  const vector = profile?.embedding?.values ?? [];
  console.log(`embedding of ${vector.length} numbers, length ${Math.hypot(...vector).toFixed(3)}`);

  const best = await recommendations.recommend({ shopper, query: 'desk lamp', k: 3 });
  for (const ranked of best.items) console.log(`recommended ${ranked.item?.itemId}`);

  await show(recommendations.recommend({ shopper, k: -1 }));
  await show(recommendations.recommend({ shopper, k: 3, catalogue: 'nowhere' }));
  channel.close();
}

/** Print the reason of an error, and each field at fault. */
async function show(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (refusal) {
    if (!(refusal instanceof RichClientError)) throw refusal;
    const infos = refusal.extra.filter((each): each is ErrorInfo => each.$type === ErrorInfo.$type);
    const broken = refusal.extra.filter((each): each is BadRequest => each.$type === BadRequest.$type);
    for (const violation of broken.flatMap((each) => each.fieldViolations))
      console.log(`${Status[refusal.code]} ${infos[0]?.reason} ${violation.field}: ${violation.description}`);
  }
}

main(process.argv[2], process.argv[3]).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
