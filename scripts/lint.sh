#!/usr/bin/env bash
# Format, lints, documentation, spelling, dependencies. Nothing is changed; the first failure ends it.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
scripts/checkers.sh
cargo fmt --all --check
cargo clippy --locked --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
.tools/checkers/venv/bin/typos
scripts/deny.sh
