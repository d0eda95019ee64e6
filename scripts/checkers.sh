#!/usr/bin/env bash
# Installs the checkers into .tools/checkers: typos, kubernetes-validate, and the schemas of the
# custom resources in manifests/ out of the Go modules that define them. Does nothing when they are there.
set -euo pipefail
cd "$(dirname "$0")/.."

keda=github.com/kedacore/keda/v2@v2.21.0
karpenter=sigs.k8s.io/karpenter@v1.14.1
prometheus_operator=github.com/prometheus-operator/prometheus-operator@v0.85.0

target=.tools/checkers
stamp=$target/installed
wanted=$(cat scripts/checkers.txt "$0" | sha256sum)
if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then
  exit 0
fi
echo "installing the checkers into $target"
rm -rf "$target"
mkdir -p "$target"

missing=()
command -v cc >/dev/null || missing+=(build-essential)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
command -v go >/dev/null || missing+=(golang-go ca-certificates)
if ((${#missing[@]})); then
  scripts/apt-install.sh "${missing[@]}"
fi

python3 -m venv "$target/venv"
"$target/venv/bin/pip" install --quiet --disable-pip-version-check --requirement scripts/checkers.txt

# The modules are read, not built; go checks them against its checksum database.
module_directory() {
  (cd / && GOFLAGS='' go mod download -json "$1") |
    "$target/venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'
}
mkdir -p "$target/schemas"
cp "$(module_directory "$keda")"/config/crd/bases/keda.sh_{scaledobjects,triggerauthentications}.yaml \
  "$(module_directory "$karpenter")"/pkg/apis/crds/{karpenter.sh_nodepools,autoscaling.x-k8s.io_capacitybuffers}.yaml \
  "$(module_directory "$prometheus_operator")"/example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml \
  "$target/schemas/"
chmod -R u+w "$target/schemas"
echo "$wanted" >"$stamp"
