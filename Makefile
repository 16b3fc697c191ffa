# Two commands on a fresh machine: `make demo` and `make test`. Both create the environment first.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eo pipefail -c
PYTHON ?= python3
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 pyproject.toml --extra s3 --extra lake --extra lakehouse --extra dask

.PHONY: help env demo test lint unit soak bench-speed bench-quality bench-start bench-size docs lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

env: .venv/.ready  ## create the environment alone, from requirements.lock

.venv/.ready: requirements.lock pyproject.toml
	@echo "making the environment in .venv from requirements.lock ..."
	@test -x $(BIN)/uv || ($(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv)
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: env  ## simulate two months of card transactions, score and evaluate the last seven nights
	@$(BIN)/nightscore demo

test: lint  ## what must hold before a merge: lint, types, import layers, all tests but `make soak`
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: env
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo --no-cache | tail -n 6

unit: env  ## run the fast tests alone
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not slow and not soak"

soak: env  ## run the longest tests; kill 40 nights twice each, compare every table with an undisturbed night
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m soak
	@NIGHTSCORE_KILLED_NIGHTS=40 $(BIN)/pytest tests/publishing/test_exactly_once.py -k killed

bench-speed: env  ## time nights of 1,000,000 rows x 30 features in turn with the machine's floor: steps, cores, memory
	@$(BIN)/python benchmarks/speed.py

bench-quality: env  ## run every public protocol with three seeds, beside published figures and baselines, and heads that lack a kind of fraud; needs NIGHTSCORE_DATA
	@$(BIN)/python benchmarks/quality.py

bench-start: env  ## time commands from the shell: a night, the same night again, sql; beside bare imports
	@$(BIN)/python benchmarks/start.py

bench-size: env  ## publish 365 nights of 10,000 rows: bytes per row on disk, and of the same rows in Parquet
	@$(BIN)/python benchmarks/size.py

docs: env  ## write docs/configuration.md from the settings, docs/tables.md from the schema
	@$(BIN)/python -m flows.settings_reference > docs/configuration.md
	@$(BIN)/python -m tasks.warehouse.tables_page > docs/tables.md

lock: env  ## pin every dependency again
	@$(COMPILE) --group dev --upgrade --output-file requirements.lock
	@$(COMPILE) --extra gpu --upgrade --output-file requirements-gpu.lock

clean:  ## remove the environment and the demo
	rm -rf .venv demo .mypy_cache .ruff_cache .pytest_cache
