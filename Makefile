# `make` or `make help` lists what there is. Everything needs Go 1.26; test-real and bench-real also Java 17, Maven (once)
# and redis-server; lint builds golangci-lint once.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Which packages the tests, and which benchmarks, are run.
PKG   ?= ./...
BENCH ?= .
# Time for each fuzz target.
FUZZTIME ?= 10s

# Built at this version by Go itself, and kept outside of the repository.
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kelisim/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint

# One package at a time: tests on real servers measure time, and two would measure each other.
REAL := go run ./internal/testenv/withkafka -- go test -tags real -p 1

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: dev
dev: ## everything in one process, with events flowing: watch a withdrawal (ARGS="--help")
	go run ./cmd/consent-dev $(ARGS)

.PHONY: test
test: ## all tests, on Kafka and Redis inside the process
	go test $(PKG)

.PHONY: test-race
test-race: ## the same with the race detector, in random order
	go test -race -shuffle=on $(PKG)

.PHONY: test-real
test-real: ## all tests on Apache Kafka 4.3.1 and redis-server
	$(REAL) -count=1 -timeout 20m $(PKG)

.PHONY: bench
bench: ## the pipeline beside its peers and its limits, in the process (BENCH=pattern)
	go test -run '^$$' -bench '$(BENCH)' -benchtime 1x -timeout 60m -v ./internal/bench

.PHONY: bench-real
bench-real: ## the same on Apache Kafka and redis-server
	$(REAL) -run '^$$' -bench '$(BENCH)' -benchtime 1x -timeout 60m -v ./internal/bench

.PHONY: bench-parts
bench-parts: ## what the parts cost: a publish beside a bare one, an idle member, decode and fold (real Kafka)
	$(REAL) -run '^$$' -bench 'PublishSingle|PublishBulk|Idle' -benchtime 2s ./events/stream
	go test -run '^$$' -bench 'Decode|Apply' -benchmem ./events/cloudevent ./events

.PHONY: sim
sim: ## a million histories under each fault: who ends allowed after a withdrawal (DESIGN 3)
	go run ./cmd/consent-sim $(ARGS)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	.ci/fuzz $(FUZZTIME)

.PHONY: lint
lint: $(GOLANGCI) ## formatting, vet and the linters of .golangci.yml, for both kinds of tests
	go vet -tags real ./...
	$(GOLANGCI) run
	$(GOLANGCI) run --build-tags real --disable unused

$(GOLANGCI):
	GOBIN=$(dir $@) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

.PHONY: golangci-path
golangci-path:
	@echo $(GOLANGCI)
