# What CI runs is what you run. Each target installs what it needs (scripts/setup.sh) into .tools/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# cargo's own variable; the default is cargo's own too.
CARGO_TARGET_DIR ?= target
HIGHWATER := $(CARGO_TARGET_DIR)/quick/highwater

# How often `make faults` kills the service; the tests do 10 times.
FAULT_ROUNDS ?= 50

# Tools that the machine lacks and scripts/setup.sh brought.
export PATH := $(PATH):$(CURDIR)/.tools/bin:$(CURDIR)/.tools/venv/bin

.PHONY: help build run test lint proto-lint fuzz bench faults soak

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the binary with its page, optimized, in target/quick
	@scripts/setup.sh build page
	@scripts/page.sh
	cargo build --locked --profile quick

run: build ## the service with a simulated voice-agent fleet: its page, and live in the terminal
	@exec $(HIGHWATER) demo

test: ## every check and test
	@scripts/setup.sh test
	@scripts/page.sh
	@exec scripts/check.sh test

lint: ## the checks that run no test: protos, format, clippy, dependencies, scripts
	@scripts/setup.sh lint
	@exec scripts/check.sh lint

proto-lint: ## the protos alone
	@scripts/setup.sh proto
	@exec scripts/check.sh proto

fuzz: ## the fuzz targets, FUZZ_SECONDS each (20)
	@scripts/setup.sh fuzz
	@exec scripts/check.sh fuzz

bench: ## the benchmarks, beside Redis and an empty service too; refreshes docs/benchmarks.md (10 min)
	@scripts/setup.sh bench
	@exec scripts/bench.sh

faults: ## the fault tests, with FAULT_ROUNDS kills (50), and hostile clients for 12 s each
	@scripts/setup.sh test
	HIGHWATER_FAULT_ROUNDS=$(FAULT_ROUNDS) cargo nextest run --locked --profile long -E 'test(/(^|::)(faults|hostile|killed)::/)'

soak: ## the real service under a fleet for SOAK_MINUTES (120), with a fault a minute
	@scripts/setup.sh test
	cargo nextest run --locked --cargo-profile quick --profile soak --run-ignored only --no-capture -E 'test(heavy_soak)'
