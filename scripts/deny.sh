#!/usr/bin/env bash
# Licences, sources and banned crates of everything that is compiled in, by cargo-deny.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
version=0.20.2
if [[ ! -x .tools/cargo-deny/bin/cargo-deny ]]; then
  echo "building cargo-deny $version: some minutes, once"
  # Unoptimised: it runs for a second, and builds in half the time. Its target stays out of ours.
  CARGO_TARGET_DIR=.tools/cargo-deny/target cargo install cargo-deny --version "$version" --locked --debug \
    --quiet --root .tools/cargo-deny
  rm -rf .tools/cargo-deny/target
fi
.tools/cargo-deny/bin/cargo-deny check bans licenses sources
