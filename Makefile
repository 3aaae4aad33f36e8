# mqttwarden. `make` lists the targets; `make run` needs nothing but Go.

# The version is the nearest tag of this very repository, or "dev" outside of it.
VERSION ?= $(shell [ -e .git ] && git describe --tags --always --dirty 2>/dev/null || echo dev)

ARGS       ?=
FUZZTIME   ?= 30s
BENCHCOUNT ?= 10

# Where the benchmarks of the hot path are.
BENCHED := ./registry/acl ./registry/secret ./broker ./broker/internal/frame

LINT     := bin/golangci-lint
LINTCONF := deploy/lint/golangci.yml

# A line of deadcode: the name, and where it is.
DEAD := {{$$p := .}}{{range .Funcs}}{{printf "%s.%s %s:%d\n" $$p.Path .Name .Position.File .Position.Line}}{{end}}

GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Programs and tests are built alike, so that what one compiled serves the other.
export CGO_ENABLED := 0
export GOFLAGS     := -trimpath -buildvcs=false

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this list
	@awk 'BEGIN{FS=":.*## "} /^##@/{printf "\n%s\n",substr($$0,5)} \
	  /^[a-z-]+:.*## /{printf "  %-8s %s\n",$$1,$$2}' $(MAKEFILE_LIST)

##@ Use

.PHONY: run
run: build ## Build and start the server; pass flags as ARGS="--http-addr :8080"
	bin/mqttwarden serve $(ARGS)

.PHONY: build
build: ## Build the static program bin/mqttwarden
	go build -ldflags '-s -w -X mqttwarden/cmd/mqttwarden/internal/program.version=$(VERSION)' -o bin/mqttwarden ./cmd/mqttwarden

##@ Check

.PHONY: setup
setup: ## Install the real servers and clients that the tests talk to
	@deploy/test/setup.sh

# What needs servers and clients by others (Redis, PostgreSQL, mosquitto, MQTT.js) is in packages
# of these names.
.PHONY: check
check: ## Run the tests that need no server, and fewer rounds of the long ones
	go test -short -vet=off -p 4 $$(go list ./... | grep -vE '/(servers|rediscache)$$')

# Without the cache of results: what the tests talk to is not part of its key.
.PHONY: test
test: setup ## Run go vet and all tests, on a fresh machine too
	go vet ./...
	go test -count=1 ./...
	@echo 'make test: every package passed'

.PHONY: lint
lint: $(LINT) unused ## Check module files, format and lint, and that everything is used
	go mod tidy -diff
	cd deploy/tools && go mod tidy -diff && go test ./...
	$(LINT) run -c $(LINTCONF) ./...

# deadcode knows what no command reaches, and orphans what no code refers to: a
# method that is reached because something may call it by reflection.
.PHONY: unused
unused: bin/deadcode bin/orphans
	bin/deadcode -f '$(DEAD)' ./... >bin/dead.txt
	bin/orphans -allow deploy/lint/unused.txt -dead bin/dead.txt ./...

.PHONY: fmt
fmt: $(LINT) ## Format all Go files as make lint wants them
	$(LINT) fmt -c $(LINTCONF)

# bbolt computes where an element of a page is before it knows whether the page is
# damaged. In a build for the race detector that would end the program, where the
# others come back from it.
.PHONY: race
race: ## Run all tests under the race detector (needs cgo and gcc)
	@set -- $$(go env CC); command -v "$$1" >/dev/null || \
	  { echo "make race: the race detector needs cgo and a C compiler, and '$$1' is not installed" >&2; exit 1; }
	CGO_ENABLED=1 go test -race -gcflags='go.etcd.io/bbolt/...=-d=checkptr=0' -count=1 ./...
	@echo 'make race: every package passed'

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (30s), one after another
	@set -e; targets=0; \
	for file in $$(grep -rlE --include='*_test.go' --exclude-dir=node_modules '^func Fuzz' .); do \
	  dir=$$(dirname "$$file"); \
	  for name in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file"); do \
	    echo "== $$name in $$dir for $(FUZZTIME)"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$dir"; \
	    targets=$$((targets + 1)); \
	  done; \
	done; \
	echo "make fuzz: $$targets targets, no finding"

.PHONY: golden
golden: ## Rewrite the golden files and the settings in the manual; read the diff before you commit it
	@set -e; for dir in $$(grep -rlE --include='*_test.go' --exclude-dir=node_modules 'flag\.Bool\("update"' . | xargs -r -n 1 dirname | sort -u); do \
	  go test -count=1 "$$dir" -update; \
	done
	@git --no-pager diff --stat -- '*testdata*' deploy/docs 2>/dev/null || true

##@ Measure

.PHONY: bench
bench: ## Benchmark the hot path, compare with the bare broker, and attack ours
	go test -run '^$$' -bench . -benchmem -count $(BENCHCOUNT) $(BENCHED)
	go run ./cmd/bench
	go run ./cmd/bench -hostile

# It needs its database, which it asks for over the network, so it belongs to the
# list for a release and not to the checks of every change.
.PHONY: vuln
vuln: ## Look for known vulnerabilities (needs the Go vulnerability database)
	@GOBIN=$(CURDIR)/bin go install $(GOVULNCHECK) || \
	  { echo 'make vuln: govulncheck could not be built: nothing was checked' >&2; exit 1; }
	@bin/govulncheck ./... || { code=$$?; \
	  [ $$code -eq 3 ] || echo 'make vuln: govulncheck could not reach its database: nothing was checked' >&2; \
	  exit $$code; }

##@ Tidy up

.PHONY: clean
clean: ## Remove what make built, the tools too; data/ stays
	rm -rf bin dist

# The tools are built once and kept until their versions change.
$(LINT): deploy/tools/go.mod deploy/tools/go.sum
	cd deploy/tools && go build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/deadcode: deploy/tools/go.mod deploy/tools/go.sum
	cd deploy/tools && go build -o ../../$@ golang.org/x/tools/cmd/deadcode

bin/orphans: deploy/tools/go.mod deploy/tools/go.sum $(wildcard deploy/tools/orphans/*.go)
	cd deploy/tools && go build -o ../../$@ ./orphans

bin/benchstat: deploy/tools/go.mod deploy/tools/go.sum
	cd deploy/tools && go build -o ../../$@ golang.org/x/perf/cmd/benchstat
