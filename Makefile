# How to check the code. What a user needs works without make:
#   go run ./examples/quickstart
#   go test ./...
GO       ?= go
LINT     := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME  ?= 300
FUZZTOTAL ?= 7200
VERSION   ?= $(shell git describe --tags --always 2>/dev/null || echo dev)
CHAOSTIME ?= 10m
SOAKTIME  ?= 1h
MODULES  := . bench e2e settings/awssource telemetry examples/orders task/outbox/pgxoutbox task/outbox/outboxtest fleet task/envelope/awsstore

.PHONY: help check walks nextsdk fmt vet lint tidy licences licences-current vuln releases platforms test race killtest e2e orders outbox fleet scale fuzz fuzz-short sbom release hostile bench bench-compare mutants storm reverts growth chaos soak peers cover

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-17s %s\n", $$1, $$2}'

check: fmt vet lint tidy licences-current vuln race fuzz-short killtest walks nextsdk e2e orders outbox fleet ## all that must hold before anything lands

fmt: ## gofmt would change nothing
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt would change:"; echo "$$out"; exit 1; }

vet: ## go vet, every module
	@for m in $(MODULES); do (cd $$m && $(GO) vet ./...) || exit 1; done

lint: ## golangci-lint, pinned
	$(LINT) run ./...

tidy: ## go.mod and go.sum say what the code needs
	@for m in $(MODULES); do (cd $$m && $(GO) mod tidy -diff) || exit 1; done

licences: ## write docs/licences.md, by go-licenses; a licence that is not allowed fails
	.ci/licences

licences-current: ## docs/licences.md is what make licences writes
	.ci/licences current

vuln: ## known vulnerabilities, by govulncheck, where its database can be reached
	.ci/vuln

releases: ## the newer of the last two releases of Go vets and tests it too
	.ci/releases

platforms: ## go vet, tests included, for the platforms that the tests do not run on
	@for p in darwin/arm64 windows/amd64 linux/386; do echo "vet for $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) vet ./... || exit 1; done

test: ## every test
	$(GO) test -v ./...

race: ## every test under the race detector, with goleak
	GO="$(GO)" .ci/tests -race -v -timeout 20m ./...
	cd settings/awssource && $(GO) test -race ./...
	cd telemetry && $(GO) test -race ./...
	cd task/envelope/awsstore && $(GO) test -race ./...

killtest: ## the quickstart, killed at random moments and carried on; a message that kills each process that runs it
	$(GO) test ./examples/quickstart -run Killed -v -count 3
	CHASSIS_SCALE=full $(GO) test ./systemtest -run AKillerTakesNo -v

walks: ## the embedded queue, walked by other SDKs and tools, old and new, where they are installed
	CHASSIS_SCALE=full $(GO) test -v ./queue/localsqs/walk
	cd bench && $(GO) test -v -run Walk ./queue

nextsdk: ## the runtime's tests with what the AWS SDK makes its default next: other retries, and a time-out of sockets
	AWS_NEW_RETRIES_2026=true AWS_ENABLE_DEFAULT_SOCKET_TIMEOUT_2026=true $(GO) test ./systemtest ./queue/sqsclient ./queue/localsqs/conformance ./actors/poller

orders: ## the tests of the order service, a kill test and a real PostgreSQL among them
	cd examples/orders && $(GO) test -v ./...

outbox: ## the outbox with real databases: PostgreSQL, MariaDB, SQLite; processes are killed
	cd task/outbox/outboxtest && $(GO) test -v ./...

fleet: ## members of a fleet: the protocol, real processes that are killed, suspended and parted
	cd fleet && $(GO) test -race -v -timeout 20m ./...

e2e: ## the live page in a real browser, if there is one
	cd e2e && $(GO) test -v ./...

fuzz: ## every fuzz target for FUZZTIME seconds, all in FUZZTOTAL at most; what fails is kept in testdata/fuzz
	.ci/fuzz $(FUZZTIME) $(FUZZTOTAL)

fuzz-short: ## every fuzz target for five seconds, all in two minutes at most
	.ci/fuzz 5 120

hostile: ## what strangers control, at full size: 100 000 hosts, paths, task names, level names and job ids
	CHASSIS_SCALE=full $(GO) test -v -timeout 10m -run Hostile ./admin/... ./queue/localsqs/...

sbom: ## what the module is made of, as CycloneDX in dist/chassis.cdx.json
	@mkdir -p dist
	.ci/sbom dist/chassis.cdx.json

release: ## the command for linux, darwin and windows on amd64 and arm64 in dist/, with an SBOM and checksums; built twice, byte for byte the same
	.ci/release $(VERSION)

bench: ## benchmarks of our own
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-compare: ## our benchmarks against those of REF, a commit or tag (default the last tag), by benchstat
	cd bench && $(GO) run ./compare $(if $(REF),-ref $(REF))

mutants: ## which changes of the pure cores' decisions no test notices; CORES="lease budget" for some
	cd bench && $(GO) run ./mutants -min 95 $(CORES)

scale: ## the tests of numbers, at full size: hours of leases, a million messages, a thousand stops, a million linearizable calls
	CHASSIS_SCALE=full $(GO) test -v -timeout 60m ./actors/poller -run 'LongTasks|RequestsUnderLoad|Invisible'
	CHASSIS_SCALE=full $(GO) test -v -timeout 60m ./actors/dispatcher -run 'Malformed|FarAhead|Model|ForEver'
	CHASSIS_SCALE=full $(GO) test -v -timeout 60m ./systemtest -run Invisible
	CHASSIS_SCALE=full $(GO) test -race -v -timeout 60m ./systemtest -run ServicesActorsWhile
	CHASSIS_SCALE=full $(GO) test -v -timeout 60m ./queue/localsqs/... -run 'Kills|Depth|LongPolls|Debian'
	CHASSIS_SCALE=full $(GO) test -v -timeout 60m ./examples/quickstart -run Killed
	CHASSIS_SCALE=full $(GO) test -v -timeout 60m ./cmd/chassis -run NewService
	CHASSIS_SCALE=full $(GO) test -v -timeout 60m ./actors/logger -run 'StalledReader|MillionCalls'
	CHASSIS_SCALE=full $(GO) test -race -v -timeout 60m ./actors/breaker -run 'TestLinearizable$$'
	CHASSIS_SCALE=full $(GO) test -v -timeout 60m ./actors/breaker -run 'ManyOpen|HealthyPaths|StrangersHosts|PythonBreaker'
	CHASSIS_SCALE=full $(GO) test -v -timeout 60m ./task/flow -run Million
	cd task/outbox/outboxtest && CHASSIS_SCALE=full $(GO) test -v -timeout 60m -run Bank .

chaos: ## a fleet that is killed, on a queue that fails, for CHAOSTIME; nothing may be lost
	cd bench && $(GO) run ./chaos -for $(CHAOSTIME)

storm: ## 2 000 seeds of a fleet under faults, over the runtime itself
	CHASSIS_SCALE=full STORM_SEEDS=2000 $(GO) test ./chassistest -run TestStormOverTheRuntime -timeout 120m

reverts: ## past faults put back one at a time, and found again by the storm; FAULTS=name,name for some
	cd bench && $(GO) run ./reverts $(if $(FAULTS),-only $(FAULTS))

growth: ## how the cost of a step grows with how much there is; writes docs/growth.md
	cd bench && $(GO) run ./growth

soak: ## mixed work in one process for SOAKTIME; memory, goroutines, descriptors and the queue's file must stay flat
	cd bench && $(GO) run ./soak -for $(SOAKTIME) -o ../docs/soak.md

peers: ## side by side with what a user would take instead
	cd bench && $(GO) run ./peers

cover: ## coverage by function, in cover.html
	$(GO) test -coverprofile=cover.out ./... && $(GO) tool cover -html=cover.out -o cover.html
