#!/usr/bin/env bash
# Installs Debian packages; as root, or by sudo where there is one.
set -euo pipefail
run=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || { echo "please install: $*" >&2; exit 1; }
  run=(sudo)
fi
"${run[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get install -qq --yes --no-install-recommends "$@" >/dev/null
