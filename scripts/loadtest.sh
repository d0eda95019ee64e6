#!/usr/bin/env bash
# Builds the load generator, optimised, and runs it; arguments go to `loadtest`, without any it compares
# the server with the bare echo.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
cargo build --locked --quiet --profile profiling --bin loadtest
if (($# == 0)); then
  set -- compare
fi
exec target/profiling/loadtest "$@"
