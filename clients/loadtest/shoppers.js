// Calls of shoppers at a rate that does not depend on the responses. README.md says how to run and configure it.
import { SharedArray } from "k6/data";
import exec from "k6/execution";
import grpc from "k6/net/grpc";
import { Counter } from "k6/metrics";
import { check } from "k6";

const ADDRESS = __ENV.ADDRESS || "localhost:50051";
const RATE = number("RATE", 50);
const DURATION = __ENV.DURATION || "60s";
const STAGES = stages(__ENV.STAGES || "");
const DEADLINE = __ENV.DEADLINE || "1s";
const P99_MS = number("P99_MS", 250);
const MIN_CALLS = number("MIN_CALLS", 50);
const MAX_CALLERS = number("MAX_CALLERS", 500);

const CONNECT_SECONDS = "5s";
// k6 status codes are not numbers, and print in a form of their own.
const STATUSES = [
  [grpc.StatusOK, "OK"],
  [grpc.StatusCanceled, "CANCELLED"],
  [grpc.StatusUnknown, "UNKNOWN"],
  [grpc.StatusInvalidArgument, "INVALID_ARGUMENT"],
  [grpc.StatusDeadlineExceeded, "DEADLINE_EXCEEDED"],
  [grpc.StatusNotFound, "NOT_FOUND"],
  [grpc.StatusAlreadyExists, "ALREADY_EXISTS"],
  [grpc.StatusPermissionDenied, "PERMISSION_DENIED"],
  [grpc.StatusResourceExhausted, "RESOURCE_EXHAUSTED"],
  [grpc.StatusFailedPrecondition, "FAILED_PRECONDITION"],
  [grpc.StatusAborted, "ABORTED"],
  [grpc.StatusOutOfRange, "OUT_OF_RANGE"],
  [grpc.StatusUnimplemented, "UNIMPLEMENTED"],
  [grpc.StatusInternal, "INTERNAL"],
  [grpc.StatusUnavailable, "UNAVAILABLE"],
  [grpc.StatusDataLoss, "DATA_LOSS"],
  [grpc.StatusUnauthenticated, "UNAUTHENTICATED"],
];
const NOT_CONNECTED = "NOT_CONNECTED";

const workload = __ENV.WORKLOAD || "./workload.json";
const calls = new SharedArray("calls", () => JSON.parse(open(workload)).calls);
const kinds = new SharedArray("kinds", () => {
  const counts = {};
  JSON.parse(open(workload)).calls.forEach((call) => (counts[call.kind] = (counts[call.kind] || 0) + 1));
  return Object.entries(counts);
});
const outcomes = new Counter("calls"); // by kind and status
const security = readTls();
const token = __ENV.TOKEN_FILE ? open(__ENV.TOKEN_FILE).trim() : "";
const metadata = { "x-caller": "loadtest", ...(token ? { authorization: `Bearer ${token}` } : {}) };
const client = new grpc.Client();
client.load(
  [__ENV.PROTOS || "../../protos", "."],
  "portrait/v1/event_service.proto",
  "portrait/v1/profile_service.proto",
  "portrait/v1/recommendation_service.proto",
  "health.proto",
);

export const options = {
  scenarios: { shoppers: scenario() },
  thresholds: thresholds(),
  summaryTrendStats: ["med", "p(90)", "p(99)", "max"],
  setupTimeout: "60s",
};

export function setup() {
  const refused = connect();
  if (refused) {
    const hint = security.plaintext ? "is it running, and without TLS?" : "is it running, with TLS and this authority?";
    exec.test.abort(`no load: the gateway at ${ADDRESS} can't be reached; ${hint} (${refused})`);
  }
  const answer = client.invoke("grpc.health.v1.Health/Check", {}, { timeout: CONNECT_SECONDS });
  if (answer.status !== grpc.StatusOK) {
    const failure = `${nameOf(answer.status)}: ${answer.error && answer.error.message}`;
    exec.test.abort(`no load: ${ADDRESS} does not report its health as a gateway does (${failure})`);
  }
  if (answer.message.status !== "SERVING") {
    exec.test.abort(`no load: the gateway at ${ADDRESS} is ${answer.message.status}: it starts, or its models are down`);
  }
  client.close();
  return { run: Date.now() };
}

let connected = false;

export default function ({ run }) {
  const place = exec.scenario.iterationInTest;
  const call = calls[place % calls.length];
  const status = makeCall(call, `loadtest-${run}-${place}`);
  const tags = { kind: call.kind, status };
  outcomes.add(1, tags);
  // One check per call, named by its outcome: the summary counts the failures of each status.
  check(status, { [status === "OK" ? "answered" : `answered, not ${status}`]: (got) => got === "OK" }, tags);
}

// Makes a call and returns its status. A failed connection fails the call, and the next call tries to connect again.
function makeCall(call, id) {
  if (!connected && connect()) {
    return NOT_CONNECTED;
  }
  connected = true;
  const answer = client.invoke(call.method, makeRequest(call, id), {
    timeout: DEADLINE,
    metadata,
    tags: { kind: call.kind },
  });
  return nameOf(answer.status);
}

function nameOf(status) {
  const [, name] = STATUSES.find(([code]) => code === status) || [status, `STATUS_${status}`];
  return name;
}

// Events to record get new ids and the current time.
function makeRequest(call, id) {
  if (call.kind !== "record") {
    return call.request;
  }
  const time = new Date().toISOString();
  return {
    events: call.request.events.map((sent, nth) => ({
      shopper_id: sent.shopper_id,
      event: { ...sent.event, event_id: `${id}-${nth}`, time },
    })),
  };
}

// Returns the error, or nothing.
function connect() {
  try {
    client.connect(ADDRESS, { ...security, timeout: CONNECT_SECONDS });
  } catch (error) {
    return String(error.message || error);
  }
  return "";
}

function readTls() {
  const pem = (name) => (__ENV[name] ? open(__ENV[name]) : undefined);
  const [authority, certificate, key] = ["CA", "CERTIFICATE", "KEY"].map(pem);
  if (!authority && !certificate && __ENV.TLS !== "true") {
    return { plaintext: true };
  }
  const tls = { cacerts: authority ? [authority] : undefined, cert: certificate, key };
  return { tls: JSON.parse(JSON.stringify(tls)) };
}

function scenario() {
  const highest = Math.max(...(STAGES.length ? STAGES.map((stage) => stage.target) : [RATE]));
  const shared = {
    timeUnit: "1s",
    preAllocatedVUs: Math.min(MAX_CALLERS, Math.max(10, Math.ceil(highest))),
    maxVUs: MAX_CALLERS,
  };
  return STAGES.length
    ? { executor: "ramping-arrival-rate", startRate: RATE, stages: STAGES, ...shared }
    : { executor: "constant-arrival-rate", rate: RATE, duration: DURATION, ...shared };
}

function thresholds() {
  const all = kinds.reduce((sum, [, count]) => sum + count, 0);
  if (!all) {
    throw new Error(`WORKLOAD=${workload} has no calls`);
  }
  const bounds = {
    checks: ["rate>0.999"],
    // A call without a free virtual user was not sent: the rate was lower than requested.
    dropped_iterations: ["count==0"],
    // Without responses, k6 counts every other threshold as met.
    "calls{status:OK}": [`count>=${MIN_CALLS}`],
  };
  kinds.forEach(([kind, count]) => {
    bounds[`calls{kind:${kind},status:OK}`] = [`count>=${Math.max(1, Math.floor((MIN_CALLS * count) / all / 2))}`];
    bounds[`grpc_req_duration{kind:${kind}}`] = [`p(99)<${P99_MS}`];
  });
  return bounds;
}

function number(name, otherwise) {
  const value = __ENV[name] === undefined ? otherwise : Number(__ENV[name]);
  if (!(value > 0 && value < Infinity)) {
    throw new Error(`${name}=${__ENV[name]} is not a number above 0`);
  }
  return value;
}

// `100:30s,200:2m`: ramp to 100 calls per second within 30 seconds, then to 200 within two minutes.
function stages(text) {
  const parts = text ? text.split(",") : [];
  return parts.map((part) => {
    const found = /^(\d+):((?:\d+(?:\.\d+)?(?:ms|s|m|h))+)$/.exec(part.trim());
    if (!found) {
      throw new Error(`STAGES=${text}: ${part} does not have the form RATE:DURATION, for example 100:30s`);
    }
    return { target: Number(found[1]), duration: found[2] };
  });
}
