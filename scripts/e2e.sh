#!/usr/bin/env bash
# Scenarios on a real cluster of plain processes: `run [SCENARIO...]`, `up`, `down` or `report`.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
scripts/e2e-parts.sh
export PEAKSCALER_E2E=1
cargo build --locked --quiet --bin peakscaler
if [[ ${1:-run} != run ]]; then
  exec cargo test --locked --quiet --test e2e -- "$@"
fi
shift || true
# However this ends, nothing of its cluster goes on running.
trap 'for run in target/e2e/run-*/; do
  if [[ -d $run && ! -d /proc/${run//[^0-9]/} ]]; then cargo test --locked --quiet --test e2e -- down "$PWD/$run"; fi
done' EXIT
cargo test --locked --quiet --test e2e -- "$@"
