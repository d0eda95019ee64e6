#!/usr/bin/env bash
# Builds what is missing and runs the demo; arguments go to `peakscaler demo`.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
cargo build --locked --quiet
exec target/debug/peakscaler demo "$@"
