# README's commands. Each does its own set-up: a virtual environment in .venv, pinned by constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test check docs bench bench-quick clean

demo: $(VENV)/.demo  ## synthetic corpus, sweep, frontier, recommendation, report
	$(BIN)/allophone demo --out runs/demo

test: $(VENV)/.all  ## the whole test suite
	$(BIN)/python -m pytest --durations=15

check: $(VENV)/.all  ## style, types, import order, generated docs, documentation site
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/write_docs.py --check
	$(BIN)/python scripts/stale_pages.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

docs: $(VENV)/.all  ## the documentation site, in site/
	$(BIN)/python scripts/write_docs.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "Open site/index.html"

bench: $(VENV)/.all  ## every figure in docs/results, measured again on this machine
	$(BIN)/python -m benchmarks.run_all

bench-quick: $(VENV)/.all  ## whether every benchmark still runs: tiny sizes, synthetic speech, nothing kept
	$(BIN)/python -m benchmarks.run_all --quick

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "allophone needs Python 3.10 or newer; name one with: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[demo]'
	@touch $@

# torch first and alone: asked for by name and version it is the CPU build where one is at hand.
$(VENV)/.all: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[demo,torch,datasets,speakers,serve,dev,docs]'
	$(PIP) --no-deps Resemblyzer==0.1.4
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) runs/demo site
