# Tenfold: `make help` says what can be done here.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
WORKERS ?= 4

.PHONY: help serve install install-dev test test-postgres-15 check lint format types laws docs lock bench-http bench-million bench-fanout bench-chat bench-storm clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: install ## Install what is needed and start Tenfold on http://127.0.0.1:8000 (options: ARGS="--port 9000")
	@$(BIN)/tenfold serve $(ARGS)

install: ## Make .venv with the locked dependencies
	@sh scripts/install.sh requirements.lock

install-dev: ## The same, with what tests and checks need
	@sh scripts/install.sh requirements-dev.lock

test: install-dev ## Everything, on real servers
	@sh scripts/packages.sh postgresql-15 redis-server
	@sh scripts/npm.sh tests/sdk
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

test-postgres-15: install-dev ## What touches the database, on the distribution's Postgres 15
	@sh scripts/packages.sh postgresql-15 redis-server
	@TENFOLD_TEST_POSTGRES=15 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal tests/platform tests/modules $(ARGS)

check: lint types laws test test-postgres-15 ## Lint, types, import laws and all tests: what CI runs

lint: install-dev ## Style, and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: install-dev ## Put the formatting right
	@$(BIN)/ruff check --fix -q .
	@$(BIN)/ruff format .

types: install-dev ## Types
	@$(BIN)/basedpyright --level error

laws: install-dev ## Which room may import which
	@$(BIN)/lint-imports

docs: install-dev ## Write the generated pages of docs/ anew
	@$(BIN)/tenfold show settings --markdown > docs/settings.md
	@$(BIN)/python -m tenfold.entry.reference > docs/reference.md

lock: ## Resolve the dependencies anew into the lock files
	@sh scripts/lock.sh

bench-http: ## Tenfold, a peer and the floor side by side over HTTP (options: ARGS="--quick")
	@sh scripts/install.sh requirements-bench.lock
	@$(BIN)/python -m bench.http $(ARGS)

bench-chat: ## Messages per second that reach the other member's socket in time (options: ARGS="--quick")
	@sh scripts/install.sh requirements-bench.lock
	@$(BIN)/python -m bench.chat $(ARGS)

bench-storm: ## What point reads feel of 40 clients that sign in without pause (options: ARGS="--quick")
	@sh scripts/install.sh requirements-bench.lock
	@$(BIN)/python -m bench.storm $(ARGS)

bench-million: ## A million connections to the gateway on this machine, and what they cost (options: ARGS="--connections 20000")
	@sh scripts/install.sh requirements-bench.lock
	@sh scripts/packages.sh redis-server
	@$(BIN)/python -m bench.million $(ARGS)

bench-fanout: ## Messages to many listeners, beside Socket.IO and websockets (options: ARGS="--quick")
	@sh scripts/install.sh requirements-bench.lock
	@sh scripts/packages.sh redis-server
	@sh scripts/npm.sh bench/peers/socketio
	@$(BIN)/python -m bench.fanout $(ARGS)

clean: ## Remove what was built and installed, never tenfold-data
	@rm -rf .venv dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
