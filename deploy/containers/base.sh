#!/usr/bin/env bash
# Make a base image without a registry of images: Debian by debootstrap, with Python. Needs root, debootstrap and buildah.
#   deploy/containers/base.sh [NAME]
set -euo pipefail

name=${1:-localhost/portrait-base}
suite=bookworm
work=$(mktemp --directory --tmpdir=/var/tmp)
trap 'rm -rf "$work"' EXIT
root=$work/root

# libpython: the embedded Triton's backend is linked against it. venv: the build stages make the environment with it.
debootstrap --variant=minbase --include=ca-certificates,libpython3.11,python3,python3-venv "$suite" "$root" >"$work/log" ||
  { tail -20 "$work/log" >&2; exit 1; }

# debootstrap reads the main suite only; security fixes come from the sources of this machine, if it has them.
sources=/etc/apt/sources.list.d/debian.sources
if grep -qs "$suite-security" "$sources"; then
  cp "$sources" "$root/etc/apt/sources.list.d/"
  : >"$root/etc/apt/sources.list"
  chroot "$root" sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq --yes dist-upgrade' >"$work/log" 2>&1 ||
    { tail -20 "$work/log" >&2; exit 1; }
else
  echo "warning: $sources names no $suite-security: the base has no security fixes since the point release" >&2
fi
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/etc/apt/sources.list*
rm -rf "$root"/usr/share/{info,locale,man}/*
find "$root/usr/share/doc" ! -type d ! -name copyright -delete  # the licences stay

container=$(buildah from scratch)
buildah add --quiet "$container" "$root" / >/dev/null
buildah config --cmd python3 --env LANG=C.UTF-8 "$container"
buildah commit --quiet --rm "$container" "$name"
