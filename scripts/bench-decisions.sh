#!/usr/bin/env bash
# Runs every policy in every cell of the benchmark; writes docs/benchmark.md, docs/benchmark.svg and target/decisions.json.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
cargo bench --locked --quiet --profile profiling --bench decisions -- "$@"
