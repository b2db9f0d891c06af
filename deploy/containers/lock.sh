#!/usr/bin/env bash
# Write the locks of the images from pyproject.toml and constraints.txt: every package with the hashes of its files.
#   deploy/containers/lock.sh            keeps what is locked and still fits
#   deploy/containers/lock.sh --upgrade  takes the newest that constraints.txt allows
set -euo pipefail
cd "$(dirname "$0")/../.."

lock() { # NAME SOURCE [EXTRA…]
  local name=$1 source=$2
  shift 2
  uv pip compile --quiet --no-config --generate-hashes --no-header --no-annotate --constraints constraints.txt \
    --python-version 3.11 --python-platform x86_64-manylinux_2_36 \
    "${@/#/--extra=}" "${upgrade[@]}" --output-file "deploy/containers/locks/$name.txt" "$source"
}

upgrade=("$@")
lock build deploy/containers/locks/build.in
lock gateway pyproject.toml server redis releases tracing
lock all-in-one pyproject.toml server triton redis releases tracing
lock trainer pyproject.toml train triton
