#!/usr/bin/env bash
# Build the images and use them: train in one, serve its release in the others, ask for a profile. Needs root, buildah, podman.
#   deploy/containers/check.sh
# BASE     a base image with Python 3.11; unset, localhost/portrait-base, which base.sh makes if it is missing
# RUNTIME  what runs containers for podman, where its own choice fails: runc
# PIP_INDEX_URL, CA_CERTIFICATES  an index of packages of yours; a bundle of certificates that its host needs
set -euo pipefail
cd "$(dirname "$0")/../.."

base=${BASE:-localhost/portrait-base}
max_gateway_mib=600
work=$(mktemp --directory --tmpdir=/var/tmp portrait-images.XXXXXX)
export DISABLE_HC_SYSTEMD=true # podman would have systemd call the health check, which is called here
podman=(podman ${RUNTIME:+--runtime "$RUNTIME"})
started=()

clean_up() {
  ((${#started[@]})) && podman rm --force --time 0 "${started[@]}" >/dev/null
  rm -rf "$work"
}
trap clean_up EXIT

fail() {
  echo "error: $*" >&2
  exit 1
}

say() { printf '── %s\n' "$*"; }

build() { # IMAGE
  local options=(--layers --isolation chroot --format docker --network host --build-arg "BASE=$base")
  [[ -z ${PIP_INDEX_URL:-} ]] || options+=(--build-arg PIP_INDEX_URL)
  [[ -z ${CA_CERTIFICATES:-} ]] || options+=(--volume "$CA_CERTIFICATES:/etc/ssl/certs/ca-certificates.crt:ro")
  buildah build --quiet "${options[@]}" --file "deploy/containers/$1.Containerfile" --tag "localhost/portrait-$1" . >/dev/null
  local mib=$(($(podman image inspect --format '{{.Size}}' "localhost/portrait-$1") >> 20))
  say "portrait-$1: $mib MiB"
  [[ $1 != gateway ]] || ((mib < max_gateway_mib)) || fail "the gateway's image may have $max_gateway_mib MiB"
}

run() { # NAME OPTION…: a container as a careful operator runs it
  local name=portrait-check-$1
  shift
  # Limits below those that podman sets by itself, which not every root may raise.
  "${podman[@]}" run --name "$name" --network host --read-only --tmpfs /tmp --cap-drop all \
    --security-opt no-new-privileges --ulimit nofile=8192:8192 --ulimit nproc=8192:8192 "$@"
}

start() { # NAME OPTION…: the same in the background, until the end of this script
  started+=("portrait-check-$1")
  run "$1" --detach --volume "$work/made/models:/models:ro" "${@:2}" >/dev/null
}

inside() { # NAME COMMAND…
  local name=portrait-check-$1
  shift
  "${podman[@]}" exec "$name" "$@"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

until_answered() { # NAME COMMAND…
  local name=portrait-check-$1
  shift
  for _ in {1..240}; do
    "$@" >/dev/null 2>&1 && return
    [[ $(podman inspect --format '{{.State.Running}}' "$name") == true ]] || break
    sleep 0.5
  done
  podman logs "$name" >&2
  fail "$name does not answer: $*"
}

train() {
  say "trainer: a log of 100 shoppers, a run, a release"
  python3 docs/examples/tour/make_log.py "$work/log"
  sed --in-place '/^shopper-[1-3]/d' "$work/log/events.csv"
  echo '{"finetune": "frozen", "max_epochs": 1}' >"$work/log/settings.json"
  local step
  # The repository is a folder of the volume, not its root: an export writes beside the repository first.
  for step in "prepare /log /made/data" "train /made/data /made/run --settings /log/settings.json" "export /made/run --repository /made/models"; do
    # shellcheck disable=SC2086 - words of a command
    run trainer --rm --volume "$work/log:/log:ro" --volume "$work/made:/made" --env HOME=/tmp \
      localhost/portrait-trainer $step >"$work/step" 2>&1 || { cat "$work/step" >&2; fail "portrait $step"; }
  done
}

start_triton() {
  # In the image of the gateway with the embedded Triton, alone: it listens on a socket of this folder for its own user only.
  start triton --shm-size 256m --volume "$work/triton:/run/triton" --env TMPDIR=/run/triton \
    --entrypoint python3 localhost/portrait-all-in-one -c '
import asyncio
from pathlib import Path
from portrait.server.triton import EmbeddedTriton

async def run():
    async with EmbeddedTriton(Path("/models"), Path("/tmp/triton.log")) as triton:
        Path("/run/triton/url").write_text(triton.url, encoding="utf-8")
        await asyncio.Event().wait()

asyncio.run(run())'
  until_answered triton test -s "$work/triton/url"
}

check_gateway() { # NAME IMAGE OPTION…
  local name=$1 image=$2 port metrics
  port=$(free_port)
  metrics=$(free_port)
  say "$name: a profile from $image"
  start "$name" --env "PORTRAIT_PORT=$port" --env "PORTRAIT_METRICS_PORT=$metrics" --env PORTRAIT_HOST=127.0.0.1 \
    --env PORTRAIT_METRICS_HOST=127.0.0.1 "${@:3}" "$image"
  until_answered "$name" curl --fail --silent "http://127.0.0.1:$metrics/readyz"
  podman healthcheck run "portrait-check-$name" >/dev/null || fail "the health check of $name failed"
  [[ $(inside "$name" id -u) == 10001 ]] || fail "$name runs as another user than 10001"
  inside "$name" grep -qE '^[^ ]+ / [^ ]+ ro[, ]' /proc/mounts || fail "the root of $name can be written"
  local client=(run client --rm --interactive --env "PORTRAIT_ADDRESS=127.0.0.1:$port" localhost/portrait-gateway)
  "${client[@]}" record - < <(head -200 "$work/log/events.csv") >"$work/recorded" || fail "no event was recorded"
  "${client[@]}" profile shopper-000 --as-of 2026-02-25 | tee "$work/profile"
  grep -q '^- ' "$work/profile" || fail "$name says nothing of shopper-000"
  podman stop --time 40 "portrait-check-$name" >/dev/null
  local code
  code=$(podman inspect --format '{{.State.ExitCode}}' "portrait-check-$name")
  ((code == 0)) || fail "$name ended with $code after SIGTERM"
}

mkdir "$work/made" "$work/triton"
chown 10001 "$work/made" "$work/triton"
[[ -n ${BASE:-} ]] || buildah inspect --type image "$base" >/dev/null 2>&1 || deploy/containers/base.sh "$base"
for image in gateway all-in-one trainer; do build "$image"; done
run torch --rm --entrypoint python3 localhost/portrait-gateway -c 'import sys, importlib.util as i; sys.exit(i.find_spec("torch") is not None)' ||
  fail "the gateway has torch"
train
start_triton
check_gateway gateway localhost/portrait-gateway --volume "$work/triton:/run/triton" --env "PORTRAIT_TRITON_URL=$(cat "$work/triton/url")"
check_gateway all-in-one localhost/portrait-all-in-one --shm-size 256m
say "all checks passed"
