#!/usr/bin/env bash
# Installs what the tests need into .tools/ and by apt, then runs them all.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
scripts/checkers.sh
scripts/test-parts.sh
cargo test --locked --no-fail-fast "$@"
