# Sourced by the other scripts: the repository's root, and cargo, the one thing that is assumed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! command -v cargo >/dev/null; then
  echo "cargo not found: install Rust 1.95 or later, see https://rustup.rs" >&2
  exit 1
fi
