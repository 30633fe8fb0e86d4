#!/usr/bin/env bash
# The full run of latent3d on one GPU, in pieces: every call works for at most LIMIT seconds, then ends with code 75, and
# the next one goes on (reconstruction begins anew: LIMIT has to be enough for it).
# gpu.md beside this file says how to use it, what it must show, and what has been measured.
#   DATA     dataset.parquet
#   OUT      folder for weights, samples and times (default results/qm9/latent3d/train0)
#   PRESET, DEVICE, PRECISION, COUNT, LIMIT   (default, cuda, bf16-mixed, 10000, 540)
set -uo pipefail
DATA=${DATA:?set DATA to a dataset.parquet} OUT=${OUT:-results/qm9/latent3d/train0} PRESET=${PRESET:-default}
DEVICE=${DEVICE:-cuda} PRECISION=${PRECISION:-bf16-mixed} COUNT=${COUNT:-10000} LIMIT=${LIMIT:-540}
began=$SECONDS

within_limit() { # a command without a time limit of its own
  local left=$((LIMIT - (SECONDS - began)))
  [ $left -gt 0 ] || exit 75
  timeout --signal=INT --kill-after=20 $left "$@"
  case $? in
    0) ;;
    124 | 137) exit 75 ;;
    *) exit 1 ;;
  esac
}

stage() { # name, stages it needs
  local name=$1 needs=()
  shift
  for need; do needs+=(--needs "$need=$OUT/$need.safetensors"); done
  [ -e "$OUT/$name.safetensors" ] && return
  latent3d train latent3d "$name" --data "$DATA" "${needs[@]}" --preset "$PRESET" --out "$OUT/$name.safetensors" \
    --device "$DEVICE" --precision "$PRECISION" --time-limit $((LIMIT - (SECONDS - began))) || exit $?
}

stage topology
stage geometry
stage diffusion_2d topology
stage diffusion_3d topology geometry
stage guide_2d topology
stage guide_3d topology geometry
weights=()
for name in topology geometry diffusion_2d diffusion_3d guide_2d guide_3d; do weights+=(--weights "$name=$OUT/$name.safetensors"); done
[ -e "$OUT/reconstruction.json" ] || within_limit latent3d reconstruct latent3d --data "$DATA" --weights "topology=$OUT/topology.safetensors" \
  --weights "geometry=$OUT/geometry.safetensors" --device "$DEVICE" --out "$OUT/reconstruction.json"
# Where the workflow looks for them: the benchmark of a dataset has its name.
[ -e "$OUT/requests.parquet" ] || within_limit latent3d requests unconditional --data "$DATA" --count "$COUNT" \
  --seed 0 --seed 1 --seed 2 --out "$OUT/requests.parquet"
within_limit latent3d sample --system latent3d --data "$DATA" "${weights[@]}" --preset "$PRESET" \
  --requests "$OUT/requests.parquet" --device "$DEVICE" --out "$OUT/raw/samples.parquet"
echo "gpu.sh: complete"
