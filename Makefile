# Hookline's entry points. `make help` lists them.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
GO ?= go
export GOFLAGS ?= -buildvcs=false

.DEFAULT_GOAL := help
.PHONY: help run test check bench fuzz generate demo chaos build tools-postgres tools-browser

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: build ## get what is missing, build, start everything; the last line is the URL to open
	@[ -n "$${DATABASE_URL:-}" ] || .ci/need postgres
	exec bin/hookline serve

build: ## build bin/hookline
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go 1.26 or later (https://go.dev/dl)" >&2; exit 1; }
	echo "building bin/hookline"
	$(GO) build -o bin/hookline ./cmd/hookline

test: tools-postgres tools-browser ## the whole suite: unit, PostgreSQL, Zoho sandbox, browser
	@.ci/test

check: ## format, vet, staticcheck, generate and compare, import direction, constant SQL
	@.ci/check

bench: tools-postgres ## measure intake, end to end and pgbench, a call's decision and records, and a backtest in one run
	$(GO) run ./internal/harness/bench
	$(GO) test -run xxx -bench 'DecideAndRender|Backtest' -benchmem ./internal/backtest

chaos: tools-postgres ## kill web, worker and PostgreSQL at every crash point; compare sender, database and CRM
	HOOKLINE_CHAOS=full HOOKLINE_CHAOS_REPORT=$${HOOKLINE_CHAOS_REPORT:-$$(mktemp --suffix=.txt)} \
	  $(GO) test -count=1 -timeout 5h -v -run 'KillAtEach|Chaos|HandOver' ./internal/harness

fuzz: ## fuzz what strangers send, a minute a target
	@for target in $$(grep -rlE '^func Fuzz' --include='*_test.go' internal | xargs -n1 dirname | sort -u); do
	  for name in $$(grep -hoE '^func Fuzz[A-Za-z0-9]+' $$target/*_test.go | sed 's/func //'); do
	    echo "$$target $$name"; $(GO) test -run xxx -fuzz "^$$name$$" -fuzztime $${FUZZTIME:-60s} ./$$target
	  done
	done

generate: ## regenerate the pages' Go code
	$(GO) tool templ generate -path web

demo: build ## a workspace full of calls of every kind, put through the real pipeline
	@[ -n "$${DATABASE_URL:-}" ] || .ci/need postgres
	exec bin/hookline demo

tools-postgres:
	@.ci/need postgres

tools-browser:
	@.ci/need browser
