# The menu: `make help`.
.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt bench bench-decisions loadtest docs deny e2e e2e-up e2e-down e2e-report

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## The main job on an embedded queue, at 60 x speed; ARGS="--scenario black-friday" and so on
	scripts/demo.sh $(ARGS)

test: ## Install what the tests need, then run them all
	scripts/test.sh

lint: ## Format, clippy, documentation, spelling, licences: nothing is changed
	scripts/lint.sh

fmt: ## Format the source
	cargo fmt --all

bench: ## Benchmarks of the hot paths, in a table
	scripts/bench.sh

bench-decisions: ## Every policy in every cell, in ten minutes on two cores: docs/benchmark.md
	scripts/bench-decisions.sh $(ARGS)

loadtest: ## GetMetrics beside a bare echo; ARGS="run --objects 10000" sends as KEDA does
	scripts/loadtest.sh $(ARGS)

docs: ## Write the generated documents anew and build the API documentation
	scripts/docs.sh

deny: ## Licences, sources and banned crates of all dependencies
	scripts/deny.sh

# Only a KUBECONFIG that stands on make's own command line counts: no cluster is touched because a shell knows it.
e2e: ## Build a cluster of plain processes (half an hour, once) and run the scenarios on it; ARGS="drain", KUBECONFIG=...
	$(if $(filter command,$(origin KUBECONFIG)),PEAKSCALER_E2E_KUBECONFIG="$(abspath $(KUBECONFIG))") scripts/e2e.sh run $(ARGS)

e2e-up: ## Start such a cluster and leave it running
	scripts/e2e.sh up

e2e-down: ## End the cluster that e2e-up started
	scripts/e2e.sh down

e2e-report: ## Write docs/cluster.md from the figures of the last run
	scripts/e2e.sh report >docs/cluster.md.new && mv docs/cluster.md.new docs/cluster.md
