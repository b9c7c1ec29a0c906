# `make demo` plays the story on this machine; `make test` runs every check. Both set themselves up.
.PHONY: help demo test test-all static unit integration setup setup-test docs contracts lock clean
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# What is generated from sets is the same in every run; `make test-all` varies it.
SAME := PYTHONHASHSEED=0
export PYTHON

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup:
	@scripts/setup.sh requirements.lock

setup-test:
	@scripts/setup.sh requirements-test.lock

demo: setup  ## play the story with eleven nodes (ARGS="--keep --lang zh …")
	@$(BIN)/pratique demo $(ARGS)

test: static unit integration  ## every check, in at most 12 minutes

static: setup-test  ## formatting, lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup-test  ## the core, with its branch coverage
	$(BIN)/coverage erase
	$(SAME) $(BIN)/pytest tests/unit -q -n 2 --dist worksteal --cov --cov-report= $(ARGS)
	$(BIN)/coverage report --fail-under=95 --skip-covered --include='schemas/*,protocols/*,ledger/*,interop/*'

integration: setup-test  ## real stores, processes and networks, and the demo broken on purpose
	$(SAME) $(BIN)/pytest tests/integration -q -n 3 --dist worksteal -m 'not slow' $(ARGS)

test-all: static unit setup-test  ## the same with the long faults and fuzzing
	HYPOTHESIS_PROFILE=long $(BIN)/pytest tests -q $(ARGS)

docs: setup-test  ## write anew what docs/ says about codes, commands, settings and paths
	@$(BIN)/python scripts/generate_docs.py

contracts:  ## compile the chain contracts anew, in an environment of its own (pinned compiler)
	@$(PYTHON) scripts/compile_contracts.py

lock:  ## resolve the dependencies again (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate --extra pg --extra rdf --extra tsa --extra evm --extra devchain pyproject.toml requirements.in -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate --extra pg --extra rdf --extra tsa --extra evm --extra devchain --group dev -c requirements.lock pyproject.toml requirements.in \
	    -o requirements-test.lock

clean:
	rm -rf .venv .venv-vyper out build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
