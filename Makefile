# make demo and make test do all the set-up that they need. PYTHON=/path/to/python3.12 chooses the interpreter.
.PHONY: help setup test demo lint lock benchmark clean
.DEFAULT_GOAL := help
export PYTHON

help:       ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup:      ## build .venv from requirements.lock (nothing to do when it is up to date)
	@scripts/setup

demo: setup ## the whole job in minutes, with no data: spoken keyword, generated backgrounds
	@.venv/bin/wakebeam demo

test: setup ## lint, types, import rules and all the tests
	@scripts/test

lint: setup ## lint, types and import rules alone
	@scripts/lint

lock: setup ## write requirements.lock and requirements.worker.lock anew from pyproject.toml
	@scripts/lock
	@scripts/setup
	@.venv/bin/python scripts/worker_lock

benchmark: setup ## the figures of docs/figures.md
	@scripts/benchmark

clean:      ## remove .venv, caches and builds; data sets and models stay
	@rm -rf .venv build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
