#!/usr/bin/env bash
# Scenarios on a real cluster of plain processes: `run [SCENARIO...]`, `up`, `down` or `report`.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
harness() { PEAKSCALER_E2E=1 cargo test --locked --quiet --test e2e -- "$@"; }

if [[ ${1:-run} == report ]]; then
  harness report
  exit
fi
scripts/test-parts.sh
scripts/e2e-parts.sh
if [[ ${1:-run} != run ]]; then
  harness "$@"
  exit
fi
shift || true

# However this ends, nothing of its cluster goes on running.
end_left_overs() {
  local status=$? run pid
  for run in target/e2e/run-*/; do
    compgen -G "$run*.pid" >/dev/null || continue
    pid=${run#target/e2e/run-} pid=${pid%/}
    # A signal that ended this may still be ending the harness.
    ((status == 0)) || timeout 10 tail --pid="$pid" -f /dev/null || true
    if [[ ! -d /proc/$pid ]]; then
      harness down "$PWD/$run"
    fi
  done
}
trap end_left_overs EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
harness "$@"
