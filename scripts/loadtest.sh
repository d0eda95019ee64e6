#!/usr/bin/env bash
# Builds the load generator, optimised, and runs it; arguments go to `loadtest`, without any it compares
# the server with the bare echo.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
# The benchmark beside it asks for the dependencies' features that `make bench` has: they are built once for both.
cargo build --locked --quiet --profile profiling --bin loadtest --bench memory
if (($# == 0)); then
  set -- compare
fi
exec target/profiling/loadtest "$@"
