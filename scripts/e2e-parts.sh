#!/usr/bin/env bash
# Builds the parts of a cluster into .tools/e2e from the versions that e2e/*/go.mod and e2e/elasticmq/pom.xml pin
# (checksums: go.sum). Says nothing and does nothing when all of it is there. Cold it takes half an hour and 8 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
source_dir=$PWD/e2e
parts=$PWD/.tools/e2e
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false

mkdir -p "$parts/bin" "$parts/share"
exec 9>"$parts/.lock"
flock 9 # two commands at once build once

missing=()
command -v openssl >/dev/null || missing+=(openssl)
command -v java >/dev/null || missing+=(default-jre-headless)
command -v mvn >/dev/null || missing+=(maven)
# An older Go fetches the toolchain that go.mod asks for by itself.
command -v go >/dev/null || missing+=(golang-go ca-certificates)
if ((${#missing[@]})); then
  scripts/apt-install.sh "${missing[@]}"
fi

# What was made of other pins, or of another source of ours, is made again.
stamp() { (cd "$source_dir" && find "$@" -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16); }

# build MODULE PACKAGE NAME
build() {
  local want
  if [[ $2 == ./* ]]; then
    want=$(stamp "$1/go.mod" "$1/go.sum" "$1/$2")
  else
    want=$(stamp "$1/go.mod" "$1/go.sum")
  fi
  if [[ -x $parts/bin/$3 && $(cat "$parts/bin/.$3" 2>/dev/null) == "$want" ]]; then
    return
  fi
  echo "building $3" >&2
  (cd "$source_dir/$1" && go build -ldflags='-s -w' -o "$parts/bin/$3" "$2")
  echo "$want" >"$parts/bin/.$3"
}

# share MODULE PATH PLACE GLOB...: files of a Go module's source into .tools/e2e/share/PLACE
share() {
  local module=$1 path=$2 place=$parts/share/$3 want root
  shift 3
  want=$(stamp "$module/go.mod")
  if [[ $(cat "$place/.stamp" 2>/dev/null) == "$want" ]]; then
    return
  fi
  root=$(cd "$source_dir/$module" && go mod download "$path" && go list -m -f '{{.Dir}}' "$path")
  rm -rf "$place" && mkdir -p "$place"
  # The globs are meant to expand, in the module's directory.
  # shellcheck disable=SC2048,SC2086
  (cd "$root" && cp $* "$place/")
  chmod -R u+w "$place"
  echo "$want" >"$place/.stamp"
}

elasticmq() {
  local want
  want=$(stamp elasticmq)
  if [[ $(cat "$parts/elasticmq/.stamp" 2>/dev/null) == "$want" ]]; then
    return
  fi
  echo "fetching ElasticMQ" >&2
  rm -rf "$parts/elasticmq"
  mvn -q -B -f "$source_dir/elasticmq/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$parts/elasticmq"
  echo "$want" >"$parts/elasticmq/.stamp"
}

elasticmq
build k8s go.etcd.io/etcd/server/v3 etcd
for command in kube-apiserver kube-controller-manager kube-scheduler kubectl; do
  build k8s "k8s.io/kubernetes/cmd/$command" "$command"
done
build kwok sigs.k8s.io/kwok/cmd/kwok kwok
build karpenter sigs.k8s.io/karpenter/kwok karpenter-kwok
build keda github.com/kedacore/keda/v2/cmd/operator keda-operator
build keda github.com/kedacore/keda/v2/cmd/adapter keda-adapter
build keda ./conformance conformance
share keda github.com/kedacore/keda/v2 keda-crds 'config/crd/bases/*.yaml'
share karpenter sigs.k8s.io/karpenter karpenter-crds 'kwok/charts/crds/*.yaml' 'kwok/apis/crds/*.yaml'
share kwok sigs.k8s.io/kwok kwok-stages 'kustomize/stage/node/fast/node-initialize.yaml' \
  'kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml' \
  'kustomize/stage/pod/fast/pod-ready.yaml' 'kustomize/stage/pod/fast/pod-delete.yaml'
