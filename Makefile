# `make` lists the targets; `make setup PYTHON=python3.12` picks another interpreter.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-all faults figures bench bench-scaling bench-check gpu-check lint docs check-docs audit clean

PYTHON ?= python3
STUDY ?= credit
MODEL ?=
PRESET ?= quick
OUTPUTS := $(or $(SAS_OUTPUTS),outputs)
BIN := .venv/bin
READY := .venv/.ready
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q
SLOW := (slow or mnist or root or slurm)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv and install the project with its exact versions (several GB)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make setup PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,slurm]'
	@touch $@

demo: $(READY) ## Train gBP and BP on the digits and draw a first picture
	$(BIN)/sas train rule=gbp name=demo-gbp
	$(BIN)/sas train rule=bp name=demo-bp
	@for rule in gbp bp; do \
	  run=$$(ls -d $(OUTPUTS)/train/demo-$$rule/v* | sort | tail -n 1); \
	  echo "$$rule: run directory $$run, picture $$run/overview.png"; \
	done

test: $(READY) ## Run the fast tests (four minutes on two cores)
	$(PYTEST) -n 2 --dist loadfile -m 'not $(SLOW)'

test-slow: $(READY) ## Run the others: long ones, MNIST, faults as root, SLURM
	$(PYTEST) -n 2 --dist loadfile -m '$(SLOW) and not slurm'
	$(PYTEST) -m slurm

test-all: test test-slow ## Run all tests

faults: $(READY) ## Inject every fault, SLURM's too where one answers; count in docs/data/faults.csv
	SAS_FAULTS=docs/data/faults.csv $(BIN)/python -m pytest -q -m fault

figures: $(READY) ## Reproduce a study: STUDY=credit (or temporal, copi, use, atlas, convolution) MODEL=mnist PRESET=quick
	$(BIN)/sas reproduce $(STUDY) $(if $(MODEL),model=$(MODEL)) preset=$(PRESET)

bench: $(READY) ## Measure speed and memory of one training step against the baselines
	$(BIN)/python -m benchmarks.step

bench-scaling: $(READY) ## Measure how cost grows with width, depth, T and replicas (six minutes)
	$(BIN)/python -m benchmarks.scaling

bench-check: $(READY) ## Compare speed with its bars; fails where one is missed (needs MNIST)
	@missed=; for name in step published recurrent copi startup; do \
	  $(BIN)/python -m benchmarks.$$name --check || missed="$$missed $$name"; \
	done; test -z "$$missed" || { echo "missed:$$missed"; exit 1; }

gpu-check: ## Check and time a GPU (8 minutes; PYTHON=python3, without make setup)
	PYTHONPATH=. $(PYTHON) -m benchmarks.gpu

lint: $(READY) ## Check style, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy docs
	$(BIN)/lint-imports

docs: $(READY) ## Make the pictures and tables of the documents from docs/data
	$(BIN)/python docs/build.py build

check-docs: $(READY) ## Check that those are up to date
	$(BIN)/python docs/build.py check

audit: $(READY) ## Look the exact versions up in PyPI's database of vulnerabilities
	$(BIN)/pip-audit --strict --disable-pip --no-deps -r constraints.txt

clean: ## Remove caches and build products; outputs/, data/ and .venv stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find sascli tests $(wildcard benchmarks) -name __pycache__ -type d -prune -exec rm -rf {} +
