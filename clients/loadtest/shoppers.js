// Shoppers at a rate that does not wait for answers. README.md tells how to run it and what can be set.
import { SharedArray } from "k6/data";
import exec from "k6/execution";
import grpc from "k6/net/grpc";
import { check } from "k6";

const ADDRESS = __ENV.ADDRESS || "localhost:50051";
const RATE = Number(__ENV.RATE || 50);
const DURATION = __ENV.DURATION || "60s";
const DEADLINE = __ENV.DEADLINE || "1s";
const P99_MS = Number(__ENV.P99_MS || 250);
const MAX_CALLERS = Number(__ENV.MAX_CALLERS || 500);
const CA = __ENV.CA ? open(__ENV.CA) : null;

const calls = new SharedArray("calls", () => JSON.parse(open(__ENV.WORKLOAD || "./workload.json")).calls);
const client = new grpc.Client();
client.load(
  [__ENV.PROTOS || "../../protos"],
  "portrait/v1/profile_service.proto",
  "portrait/v1/recommendation_service.proto",
);

export const options = {
  scenarios: {
    shoppers: {
      executor: "constant-arrival-rate",
      rate: RATE,
      timeUnit: "1s",
      duration: DURATION,
      preAllocatedVUs: Math.min(MAX_CALLERS, Math.max(10, RATE)),
      maxVUs: MAX_CALLERS,
    },
  },
  thresholds: {
    checks: ["rate>0.999"],
    "grpc_req_duration{kind:recommend}": [`p(99)<${P99_MS}`],
    "grpc_req_duration{kind:search}": [`p(99)<${P99_MS}`],
    "grpc_req_duration{kind:profile}": [`p(99)<${P99_MS}`],
    // A call that had no free caller was not sent: the rate was not what was asked for.
    dropped_iterations: ["count==0"],
  },
  summaryTrendStats: ["med", "p(90)", "p(99)", "max"],
};

let connected = false;

export default function () {
  if (!connected) {
    client.connect(ADDRESS, CA ? { tls: { cacerts: [CA] } } : { plaintext: true });
    connected = true;
  }
  const call = calls[exec.scenario.iterationInTest % calls.length];
  const answer = client.invoke(call.method, call.request, {
    timeout: DEADLINE,
    metadata: { "x-caller": "loadtest" },
    tags: { kind: call.kind },
  });
  check(answer, { answered: (got) => got.status === grpc.StatusOK }, { kind: call.kind });
}
