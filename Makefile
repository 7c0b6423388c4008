# `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
BIN := bin
MODULE := github.com/runnerbean/runnerbean
GO ?= go
# One configuration for all that needs no race detector, so that it is compiled once.
BUILD := CGO_ENABLED=0 GOFLAGS=-trimpath

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | sort | expand -t 14

.PHONY: build
build: ## Build the binary, the example program and the website into bin/; VERSION=v1.2.3 names a release where git is absent
	$(BUILD) $(GO) build -ldflags='-s -w -X $(MODULE)/cmd/runnerbean/internal/version.release=$(VERSION)' -o $(BIN)/runnerbean ./cmd/runnerbean
	$(BUILD) $(GO) build -o $(BIN)/website ./examples/website
	$(BUILD) $(GO) build -o $(BIN)/demo ./examples/demo
	@mkdir -p $(BIN)/programs/forecast && chmod go-w $(BIN) $(BIN)/programs $(BIN)/programs/forecast
	$(BUILD) $(GO) build -o $(BIN)/programs/forecast/run ./examples/forecast
	@install -m 644 examples/forecast/program.json $(BIN)/programs/forecast/program.json
	@chmod go-w $(BIN)/programs/forecast/run

.PHONY: demo
demo: need-beanstalkd build ## Run the main job end to end; DEMO_ONCE=1 runs it once and exits
	$(BIN)/demo -bin $(BIN)/runnerbean -programs $(BIN)/programs -website $(BIN)/website

.PHONY: demo-render
demo-render: need-beanstalkd need-povray need-ffmpeg build ## Render an animation as a batch, and make a film of it; DEMO_ONCE=1 ends the node then
	@mkdir -p $(BIN)/render && cp -r examples/render/programs/. $(BIN)/render && cp examples/render/scene.pov $(BIN)/render/draw
	examples/batch-demo.sh $(BIN)/runnerbean render $(BIN)/render examples/render/batch.json

.PHONY: test-render
test-render: need-beanstalkd need-povray need-ffmpeg need-chromium need-postgresql build ## Render the animation, play the film in chromium, and kill nodes and servers while frames are drawn
	$(BUILD) $(TEST) -tags render -count=1 -timeout 10m -v ./examples/render
	$(BUILD) $(TEST) -tags render,pool -count=1 -timeout 10m -run '^(TestBatchOfAKilledBeanstalkd|TestPoolBatchOfKilledServers)$$/render' ./cmd/runnerbean

.PHONY: demo-sweep
demo-sweep: need-beanstalkd build ## Price an option over a matrix of parameters as a batch; DEMO_ONCE=1 ends the node then
	@mkdir -p $(BIN)/sweep
	$(BUILD) $(GO) build -o $(BIN)/sweep/sweep ./examples/sweep
	$(BUILD) $(GO) build -o $(BIN)/sweep/collect ./examples/sweep/collect
	examples/batch-demo.sh $(BIN)/runnerbean sweep $(BIN)/sweep $(or $(SWEEP),examples/sweep/batch.json)

.PHONY: demo-catalog
demo-catalog: need-beanstalkd build ## Fetch, parse and add up this machine's package lists on two nodes; DEMO_ONCE=1 ends the nodes then
	$(BUILD) $(GO) build -o $(BIN)/catalog/catalog ./examples/catalog
	@mkdir -p $(BIN)/catalog/programs && cp -r examples/catalog/programs/. $(BIN)/catalog/programs
	@for program in $(BIN)/catalog/programs/*; do install -m 755 $(BIN)/catalog/catalog $$program/run; done
	examples/catalog/demo.sh $(BIN)/runnerbean $(BIN)/catalog/catalog $(BIN)/catalog/programs

.PHONY: demos-short
demos-short: ## Run the demos of batches and pipelines once: the sweep with fewer paths, the catalog, the film
	@mkdir -p $(BIN) && sed 's/"paths": 400000/"paths": 40000/' examples/sweep/batch.json >$(BIN)/sweep-short.json
	DEMO_ONCE=1 $(MAKE) --no-print-directory demo-sweep SWEEP=$(BIN)/sweep-short.json
	DEMO_ONCE=1 $(MAKE) --no-print-directory demo-catalog
	$(MAKE) --no-print-directory test-render

.PHONY: test
test: need-beanstalkd need-chromium need-postgresql need-strace need-php need-python need-haproxy need-varnish ## Set up and test, in at most 10 minutes on 2 cores
	@$(call parts,build test-all smoke)

.PHONY: ci
ci: need-promtool need-nginx need-wrk ## Check what takes longer: staticcheck, types, other platforms, races, benchmarks, demos, chaos, containers, mutants
	@$(call parts,lint types cross rules race test-postgres test-s3 test-pool bench-once demos-short chaos-short pool-test-short upgrade-test containers mutants)

# parts makes one target after the other. It says what each does, by its help text, and at the end how long each took.
parts = took=; for part in $(1); do \
	  echo "== $$part: $$(sed -n "s/^$$part:.*\#\# //p" Makefile)"; start=$$SECONDS; \
	  $(MAKE) --no-print-directory $$part || { echo "== $$part failed after $$((SECONDS - start)) s"; exit 1; }; \
	  took="$$took$$part $$((SECONDS - start)) s, "; done; \
	echo "== took $$took$$SECONDS s in all"

# Where control groups can be had, a test that finds none fails.
cgroup = if [ "$$(id -u)" = 0 ] && grep -q ' - cgroup2 ' /proc/self/mountinfo 2>/dev/null; then export RUNNERBEAN_NEED_CGROUP=1; fi

# "make lint" vets all packages. Without the paths of its files, a second clone compiles nothing again.
TEST := $(GO) test -vet=off

# Without the race detector, whose code takes as long to compile again as the tests to run. The three packages that
# take longest come first, so that none of them runs alone at the end. Their tests mostly wait: there is one package more
# than processors.
.PHONY: test-all
test-all: ## Run all tests
	@$(cgroup); $(BUILD) $(TEST) -p $$(($$(getconf _NPROCESSORS_ONLN) + 1)) -timeout 20m ./publisher ./cmd/runnerbean ./worker ./...

# The tests of the layout have no goroutines, and compile all packages without the race detector.
.PHONY: race
race: ## Run all tests with the race detector
	@$(cgroup); GOFLAGS=-trimpath $(TEST) -race -timeout 30m $$($(GO) list ./... | grep -vx '$(MODULE)/internal/layout')

.PHONY: test-postgres
test-postgres: need-postgresql need-pgbouncer ## Run the tests of the ledger on a private PostgreSQL, and some through PgBouncer
	LEDGER_TEST_POSTGRES=1 $(BUILD) $(TEST) -count=1 -timeout 10m ./internal/ledger ./internal/batch
	LEDGER_TEST_POSTGRES=pgbouncer $(BUILD) $(TEST) -count=1 -timeout 10m $(or $(PGBOUNCER_TESTS),-run 'Model|Race|Accept|Claim|Finish|Recover') ./internal/ledger

.PHONY: test-s3
test-s3: need-versitygw ## Run the tests of the store on a private versitygw
	STORE_TEST_VERSITYGW=$(VERSITYGW) $(BUILD) $(TEST) -count=1 -timeout 5m ./internal/store/...

# These start many nodes and servers, which takes minutes. Their files have the build tag pool.
.PHONY: test-pool
test-pool: need-beanstalkd need-postgresql ## Run the tests of nodes on PostgreSQL, a bucket and several beanstalkd
	$(BUILD) $(TEST) -tags pool -timeout 20m -run '^TestPool' ./cmd/runnerbean

.PHONY: check
check: lint cross rules ## Check the code without running it

.PHONY: format
format: ## Check that gofumpt would change nothing
	@files=$$($(BUILD) $(GO) tool gofumpt -l .); if [ -n "$$files" ]; then echo "gofumpt would change:"; echo "$$files"; exit 1; fi

.PHONY: vet
vet: ## Run go vet
	$(BUILD) $(GO) vet -tags pool,containers,render ./...

.PHONY: lint
lint: format vet ## Run gofumpt, vet, staticcheck, go mod tidy and shellcheck
	$(BUILD) $(GO) tool staticcheck -tags pool,containers,render ./...
	$(GO) mod tidy -diff
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run chaos/*.sh examples/pool/*.sh examples/batch-demo.sh examples/catalog/demo.sh examples/render/programs/*/run; fi

.PHONY: types
types: need-tsc ## Check the TypeScript types of runnerbean.js with a program that uses all of them
	tsc -p publisher/internal/pages/testdata/typescript

.PHONY: rules
rules: need-promtool ## Check the example configuration of Prometheus and test its alert rules
	promtool check config examples/monitoring/prometheus.yml
	promtool test rules examples/monitoring/alerts_test.yml

.PHONY: cross
cross: ## Build for each platform that is released
	@for p in linux/amd64 linux/arm64 darwin/arm64; do echo "build $$p"; \
	  $(BUILD) GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -o /dev/null ./cmd/runnerbean && \
	  $(BUILD) GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./... || exit 1; done

.PHONY: smoke
smoke: build ## Run the demo once with the binaries that ship
	DEMO_ONCE=1 $(BIN)/demo -bin $(BIN)/runnerbean -programs $(BIN)/programs -website $(BIN)/website

.PHONY: bench
bench: need-beanstalkd build ## Benchmark each stage, then the whole system
	$(GO) test -run '^$$' -bench . -benchtime 1s ./jobs ./internal/... ./worker/... ./publisher ./examples/...
	$(BIN)/runnerbean bench

.PHONY: bench-nginx
bench-nginx: need-nginx need-wrk ## Compare a result of 10 KiB with the same file served by nginx
	RUNNERBEAN_BENCH_ROUNDS=$${RUNNERBEAN_BENCH_ROUNDS:-5} $(GO) test -run '^$$' -bench Nginx -benchtime 1x ./publisher

.PHONY: bench-streams
bench-streams: ## Hold 10,000 event streams and 1,000 dashboards open
	RUNNERBEAN_BENCH_STREAMS=10000 RUNNERBEAN_BENCH_DASHBOARDS=1000 RUNNERBEAN_BENCH_SECONDS=20 \
	  $(GO) test -run '^$$' -bench 'Streams|Dashboards' -benchtime 1x ./publisher

.PHONY: overload-plot
overload-plot: need-beanstalkd ## Measure Enqueue under overload and draw docs/overload.svg
	OVERLOAD_SVG=$(CURDIR)/docs/overload.svg $(BUILD) $(GO) test -run '^$$' -bench Overload -benchtime 1x ./internal/clientfaults

.PHONY: bench-once
bench-once: ## Run each benchmark once, so that they stay true
	$(BUILD) $(GO) test -run '^$$' -bench . -benchtime 1x ./... | grep -vE '^(goos|goarch|pkg|cpu|PASS|ok|\?)'

.PHONY: fuzz
# A number of runs, not a time: go test reports the end of a time as a failure
# where it comes while an input is being minimised.
fuzz: ## Fuzz every decoder for FUZZTIME each (default 20000x)
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "fuzz $$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-20000x} $$pkg || exit 1; \
	  done; done

CHAOS_RUN = CHAOS_VERSITYGW=$(VERSITYGW) $(BUILD) $(GO) run ./chaos -bin $(BIN)/runnerbean $(if $(SEED),-seed $(SEED))
CHAOS_NEEDS := need-beanstalkd need-postgresql need-strace need-faketime build

.PHONY: chaos
chaos: $(CHAOS_NEEDS) ## Run the fault scenarios of one machine in full; CHAOS='c1 c5' runs some, SEED=n repeats
	$(CHAOS_RUN) $(if $(DOC),-doc $(DOC)) $(or $(CHAOS),$(ONE_MACHINE) c12 c14)

.PHONY: simulate
simulate: ## Simulate pools of up to 1,000 nodes with measured costs; SIMULATE='-base 2' changes one
	$(BUILD) $(GO) run ./internal/scaling $(SIMULATE)

# An archive of the sources has no history. The upgrade of ledgers that old versions wrote is tested in any case.
OLD_COMMITS = $(shell git cat-file -e '3ea2163^{commit}' 2>/dev/null && git cat-file -e '01e0af4^{commit}' 2>/dev/null && echo yes)
ONE_MACHINE := c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 c11 c13 c15 c16

.PHONY: chaos-short
chaos-short: $(CHAOS_NEEDS) ## Run the fault scenarios of one machine in a few minutes
	@$(if $(CHAOS)$(OLD_COMMITS),,echo "C12 and C14 are left out: they build old versions, and this checkout does not have their commits; run git fetch --unshallow")
	$(CHAOS_RUN) -short $(or $(CHAOS),$(ONE_MACHINE) $(if $(OLD_COMMITS),c12 c14))

.PHONY: pool-test
pool-test: need-versitygw need-haproxy need-ip $(CHAOS_NEEDS) ## Run a pool in network namespaces and kill, stop and cut off all of it; requires root
	$(CHAOS_RUN) $(if $(DOC),-doc $(DOC)) c17

# A container may have no right to make namespaces.
.PHONY: pool-test-short
pool-test-short: need-versitygw need-haproxy need-ip $(CHAOS_NEEDS) ## The same in a minute
	@if ip netns add runnerbean-trial 2>/dev/null && ip netns del runnerbean-trial; then $(CHAOS_RUN) -short c17; \
	  else echo "C17 IS NOT RUN: this user may not make network namespaces"; fi

.PHONY: upgrade-test
upgrade-test: need-versitygw $(CHAOS_NEEDS) ## Upgrade pools node by node under load, from release 0.1.0 and from the present
	@if git cat-file -e '6d50e07^{commit}' 2>/dev/null; then $(CHAOS_RUN) $(if $(DOC),-doc $(DOC)) -short c18; \
	  else echo "C18 IS NOT RUN: it builds release 0.1.0, and this checkout does not have its commit; run git fetch --unshallow"; fi

# The test runs what "git stash create" sees, without the files that git does not know.
.PHONY: containers
containers: need-chromium ## Build and run the compose files: a job on one node, and on a pool that loses a node
	@if ! timeout 30 docker version >/dev/null 2>&1; then echo "THE CONTAINERS ARE NOT RUN: no container engine answers"; \
	  elif ! docker compose version >/dev/null 2>&1 && ! command -v docker-compose >/dev/null; then echo "THE CONTAINERS ARE NOT RUN: docker compose is missing"; \
	  else examples/pool/base-images.sh && $(BUILD) $(GO) test -tags containers -count=1 -v -timeout 70m ./examples/pool; fi

.PHONY: client-faults
client-faults: need-beanstalkd build ## Enqueue from 100 goroutines through faults for 30 minutes; CLIENT_FAULTS=5m for less, SEED=n repeats
	RUNNERBEAN=$(CURDIR)/$(BIN)/runnerbean RUNNERBEAN_CLIENT_FAULTS=$(or $(CLIENT_FAULTS),30m) $(if $(SEED),SEED=$(SEED)) \
	  $(GO) test ./internal/clientfaults -run TestClientFaults -count=1 -v -timeout 24h

.PHONY: year
year: need-beanstalkd need-faketime build ## Live a year of a pool in about ten minutes: upgrades, backups, restores, full disks; SEED=n repeats
	$(BUILD) $(GO) run ./chaos -bin $(BIN)/runnerbean $(if $(SEED),-seed $(SEED)) $(if $(DOC),-doc $(DOC)) c14

.PHONY: mutants
mutants: need-beanstalkd need-strace ## Remove each safeguard once: a test must fail
	CGO_ENABLED=0 chaos/mutants.sh

.PHONY: need-strace
need-strace:
	@command -v strace >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=strace

.PHONY: need-faketime
need-faketime:
	@command -v faketime >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=faketime

.PHONY: need-beanstalkd
need-beanstalkd:
	@command -v beanstalkd >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=beanstalkd

# The recipes of the docs are run in each language that they are given in.
.PHONY: need-povray
need-povray:
	@command -v povray >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=povray

.PHONY: need-ffmpeg
need-ffmpeg:
	@command -v ffmpeg >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=ffmpeg

.PHONY: need-php
need-php:
	@command -v php >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=php-cli

.PHONY: need-python
need-python:
	@command -v python3 >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=python3

.PHONY: need-promtool
need-promtool:
	@command -v promtool >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=prometheus

.PHONY: need-postgresql
need-postgresql:
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || $(MAKE) --no-print-directory apt PACKAGES=postgresql

# An S3 server for tests.
VERSITYGW := $(CURDIR)/$(BIN)/tools/versitygw

.PHONY: need-versitygw
need-versitygw:
	@[ -x $(VERSITYGW) ] || GOBIN=$(dir $(VERSITYGW)) GOFLAGS=-trimpath CGO_ENABLED=0 $(GO) install github.com/versity/versitygw/cmd/versitygw@v1.8.0

.PHONY: need-pgbouncer
need-pgbouncer:
	@PATH=$$PATH:/usr/sbin; command -v pgbouncer >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=pgbouncer

.PHONY: need-haproxy
need-haproxy:
	@PATH=$$PATH:/usr/sbin; command -v haproxy >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=haproxy

.PHONY: need-varnish
need-varnish:
	@PATH=$$PATH:/usr/sbin; command -v varnishd >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=varnish

.PHONY: need-ip
need-ip:
	@PATH=$$PATH:/usr/sbin; command -v ip >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=iproute2

.PHONY: need-tsc
need-tsc:
	@command -v tsc >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=node-typescript

.PHONY: need-nginx
need-nginx:
	@command -v nginx >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=nginx

.PHONY: need-wrk
need-wrk:
	@command -v wrk >/dev/null || $(MAKE) --no-print-directory apt PACKAGES=wrk

.PHONY: need-chromium
need-chromium:
	@command -v chromium >/dev/null || $(MAKE) --no-print-directory apt PACKAGES='chromium fonts-dejavu-core'

.PHONY: apt
apt:
	@sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	if ! command -v apt-get >/dev/null; then echo "install $(PACKAGES) first"; exit 1; fi; \
	echo "installing $(PACKAGES)"; \
	$$sudo apt-get update -q && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(PACKAGES)
