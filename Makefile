# From a bare checkout with Python 3.11 or newer and make: `make demo`, `make test`.

PYTHON ?= python3
WORKERS ?= 2

ENV := .venv
BIN := $(ENV)/bin
STAMP := $(ENV)/.stamp
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
# The suites use the cores by processes; threads within each would only get in the way.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
BENCHMARKS ?= $(patsubst benchmarks/%.py,%,$(shell grep -l '^if __name__ == ' benchmarks/*.py))

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format slow bench clean

help:  ## What can be made.
	@awk -F ':.*## +' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP)  ## The main job: train the small model on the built-in world, print the table.
	$(BIN)/mmsr demo

test: $(STAMP)  ## The tests, without those that take minutes each or need a GPU.
	$(PYTEST) -m 'not slow and not gpu'

check: lint test  ## Formatting, lint, types and the tests.

lint: $(STAMP)  ## Formatting, lint and types.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(STAMP)  ## Format the code and mend what the linter can.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

slow: $(STAMP)  ## The tests that take minutes each.
	$(PYTEST) -m 'slow and not gpu'

bench: $(STAMP)  ## Every benchmark, or some: make bench BENCHMARKS="local_search".
	@set -e; for name in $(BENCHMARKS); do \
	    echo "python -m benchmarks.$$name"; $(BIN)/python -m benchmarks.$$name; \
	done

clean:  ## Remove what was installed and built; results in runs/ stay.
	rm -rf $(ENV) .nox build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: made once, and installed into again only when what is to be installed changed.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	@if ! $(BIN)/python -c 'import pip; $(RECENT)' 2>/dev/null; then \
	    for python in '$(PYTHON)' python3.13 python3.12 python3.11; do \
	        if $$python -c '$(RECENT)' 2>/dev/null; then found=$$python; break; fi; \
	    done; \
	    if [ -z "$$found" ]; then \
	        echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1 || :)." \
	            "Name one: make PYTHON=..." >&2; exit 1; \
	    fi; \
	    [ "$$found" = '$(PYTHON)' ] || \
	        echo "$(PYTHON) is no Python of 3.11 or newer; taking $$found"; \
	    $$found -m venv --clear $(ENV); \
	fi
	@echo 'Installing into $(ENV); the first time takes some minutes.'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    -c constraints.txt -e '.[train,web,data,dev]'
	@touch $@
