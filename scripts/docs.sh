#!/usr/bin/env bash
# Writes the generated pages of docs/ anew (tests hold them to the source) and builds the API documentation.
source "$(dirname "${BASH_SOURCE[0]}")/need-cargo.sh"
cargo build --locked --quiet
for page in metadata metrics reports scenarios; do
  target/debug/peakscaler docs "$page" >"docs/$page.md.new"
  mv "docs/$page.md.new" "docs/$page.md"
done
target/debug/peakscaler docs peak-calendar >manifests/peakcalendar.yaml.new
mv manifests/peakcalendar.yaml.new manifests/peakcalendar.yaml
cargo doc --locked --no-deps
