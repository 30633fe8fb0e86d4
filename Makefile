# Two commands for a clean machine: `make demo` (a scored table in minutes) and `make test`.
# Both set up .venv from requirements.lock; only Python 3.11 or 3.12 is needed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow

BIN := .venv/bin

help:
	@echo 'make demo   set up .venv, then run everything on the embedded dataset (report: results/report.html)'
	@echo 'make test   set up .venv, then run the tests (make test-slow: those that take up to an hour)'
	@echo 'make setup  set up .venv'

setup: .venv/.complete

.venv/.complete: requirements.lock pyproject.toml
	@python=''; \
	for candidate in $(PYTHON) python3.12 python3.11 python3 python; do \
	  if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then \
	    python="$$candidate"; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo 'make: no Python 3.11 or 3.12 found. Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11' >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "make: $$python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	echo "Setting up .venv with $$("$$python" --version) (a few minutes, once)"; \
	"$$python" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Small networks train side by side, one core each.
demo: setup
	$(BIN)/snakemake --cores all --set-threads train=1 --configfile config/quickstart.yaml

test: setup
	$(BIN)/python -m pytest

test-slow: setup
	$(BIN)/python -m pytest -m slow
