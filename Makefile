# Run `make` to see what there is.

GO ?= go
# Modules of their own within this one; each is tested and verified by itself. tools/ only pins what generates and checks.
NESTED  := tests/tinkv1 tests/bench examples/decisionlog examples/kernel
MODULES := . $(NESTED)
# What the coverage figure is about.
COVERED := ./registry/...,./keyset/...,./schema/...,./manifest/...,./internal/...

# When a package's tests are taken for hanging: go's own ten minutes are too few for a busy machine, or the race detector.
TIMEOUT := 2h

TOOL        := GOWORK=off $(GO) tool -modfile=$(CURDIR)/tools/go.mod
SQLC        := $(TOOL) sqlc
STATICCHECK := $(TOOL) staticcheck
# The subsystem has a Makefile of its own, since it is there to be copied. Here it uses the same sqlc as this one.
SUBSYSTEM   := $(MAKE) --no-print-directory -C examples/decisionlog GO='$(GO)' SQLC='$(SQLC)'

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
		while IFS='|' read -r target text; do printf '  %-10s %s\n' "$$target" "$$text"; done

.PHONY: demo
demo: toolchain ## boot a registry on a copy of an oxide-k database, and show it
	@$(GO) -C examples/kernel build -o $(CURDIR)/.bin/kernel . # run from here, so that the paths that it shows are true here
	@.bin/kernel -dir demo

.PHONY: test
test: toolchain ## run all tests
	@$(GO) test -timeout $(TIMEOUT) ./...
	@set -e; for m in $(NESTED); do (cd $$m && $(GO) test -count=1 -timeout $(TIMEOUT) ./...); done # the cache knows nothing of programs they build

.PHONY: test-race
test-race: toolchain ## run all tests under the race detector (RACE='./internal/... ./registry/...': those packages only)
	@$(GO) test -race -timeout $(TIMEOUT) $(or $(RACE),./...)
	@set -e; for m in $(if $(RACE),,$(NESTED)); do (cd $$m && $(GO) test -race -count=1 -timeout $(TIMEOUT) ./...); done

# The suites about values and their errors, in two modes. The others go the same way through encoding/json.
VALUES := ^Test(Config|ConfigValues|ConfigDecoding|Setting|Typed|OxideK|Encrypt)$$/^(plaintext|encrypted|Test.*)$$

.PHONY: test-json
test-json: toolchain ## run the tests of packages and about values with the next encoding/json (RACE=-race: and the race detector)
	@GOEXPERIMENT=jsonv2 $(GO) test $(RACE) -timeout $(TIMEOUT) ./internal/... ./registry/... ./manifest/...
	@GOEXPERIMENT=jsonv2 $(GO) test $(RACE) -timeout $(TIMEOUT) ./tests -run '$(VALUES)'

.PHONY: cross
cross: toolchain ## compile and vet all for other systems, tests too (CROSS=windows/amd64: for that one; MODULES=.: not the nested)
	@GO='$(GO)' MODULES='$(MODULES)' tools/cross $(or $(CROSS),windows/amd64 linux/arm64 linux/386 darwin/arm64)

.PHONY: torture
torture: toolchain ## let eight processes write one counter for a minute
	@$(GO) test ./tests -run '^TestCounter$$' -counting 60s -timeout $(TIMEOUT) -v

.PHONY: bench
bench: toolchain ## measure against what one would use instead, and write docs/benchmarks (BENCH=-quick: less of it, to nowhere)
	@$(GO) -C tests/bench build -o $(CURDIR)/.bin/bench .
	@.bin/bench $(or $(BENCH),-out docs/benchmarks)

.PHONY: bench-go
bench-go: toolchain ## run the benchmarks beside the code
	@$(GO) test -run '^$$' -bench . -benchmem -timeout $(TIMEOUT) ./...

.PHONY: generate
generate: toolchain ## write db/ from schema/ and queries/, also the subsystem's
	@$(SQLC) generate
	+@$(SUBSYSTEM) generate

.PHONY: verify
verify: toolchain ## check that what is generated, tidied and formatted is up to date, also in a copy, and vet
	@$(SQLC) diff
	+@$(SUBSYSTEM) verify
	@$(GO) test ./tests -run '^TestACopiedSubsystemWorks$$' -count=1 -timeout $(TIMEOUT) -sqlc '$(SQLC)'
	@set -e; for m in $(MODULES) tools; do (cd $$m && $(GO) mod tidy -diff); done
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt -w $$unformatted"; exit 1; }
	@set -e; for m in $(MODULES); do (cd $$m && $(GO) vet ./... && $(STATICCHECK) ./...); done

.PHONY: cover
cover: toolchain ## run all tests and print the statement coverage
	@$(GO) test -timeout $(TIMEOUT) -coverpkg=$(COVERED) -coverprofile=cover.out ./...
	@$(GO) tool cover -func=cover.out | tail -n 1

.PHONY: clean
clean: ## remove what the other targets left
	@rm -rf demo cover.out .bin examples/decisionlog/.core

# The SQLite driver is C code. `go env CGO_ENABLED` is 0 where there is no compiler, too.
.PHONY: toolchain
toolchain:
	@command -v $(GO) >/dev/null || { echo "stateregistry needs Go 1.26 or newer: https://go.dev/dl"; exit 1; }
	@test "$$($(GO) env CGO_ENABLED)" = 1 && command -v $$($(GO) env CC | cut -d' ' -f1) >/dev/null || { \
		echo "stateregistry needs cgo: install a C compiler (Debian: apt-get install gcc libc6-dev) and leave CGO_ENABLED alone"; exit 1; }
