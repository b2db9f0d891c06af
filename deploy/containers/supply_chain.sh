#!/usr/bin/env bash
# Describe what is in the images: a software bill of materials (CycloneDX) and a table of licences for each lock.
#   deploy/containers/supply_chain.sh FOLDER           writes them into FOLDER; fails if a licence is not in licences.txt
#   deploy/containers/supply_chain.sh FOLDER --audit   asks for known vulnerabilities too, which needs the internet
# The tools are those of the extra supply-chain. The environments of the locks are installed in TMPDIR: 8 GB for the trainer.
set -euo pipefail
folder=$(realpath "${1:?usage: supply_chain.sh FOLDER [--audit]}")
audit=${2:-}
cd "$(dirname "$0")/../.."

mkdir -p "$folder"
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
allowed=$(grep -v '^#' deploy/containers/licences.txt | paste --serial --delimiters ';')
status=0

for image in gateway all-in-one trainer; do
  lock=deploy/containers/locks/$image.txt
  environment=$work/$image/bin/python
  uv venv --quiet --python 3.11 "$work/$image"
  uv pip install --quiet --no-cache --python "$environment" --require-hashes --requirements "$lock"
  cyclonedx-py environment --output-reproducible --pyproject pyproject.toml --mc-type application \
    --output-file "$folder/$image.cdx.json" "$environment"
  pip-licenses --python "$environment" --from mixed --with-urls --format markdown >"$folder/$image-licences.md"
  # CUDA comes under NVIDIA's own terms, and in the trainer only.
  mapfile -t cuda < <(grep -oE '^(nvidia-|cuda-toolkit)[a-z0-9-]*' "$lock" | grep -v '^nvidia-pytriton$')
  pip-licenses --python "$environment" --from mixed --allow-only "$allowed" ${cuda[0]:+--ignore-packages "${cuda[@]}"} \
    >/dev/null || status=1
  if [[ $audit == --audit ]]; then
    pip-audit --strict --require-hashes --disable-pip --requirement "$lock" || status=1
  fi
  echo "$image: $(grep -c '^[a-z].*==' "$lock") packages, $folder/$image.cdx.json"
  rm -rf "${work:?}/$image"
done
exit "$status"
