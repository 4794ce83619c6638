# Everything a checkout needs. Each target sets up what it needs, and again only after
# pyproject.toml or constraints.txt has changed. Without make, see CONTRIBUTING.md.
PYTHON ?= python3
VENV ?= .venv
BACKENDS_VENV ?= .venv-backends
ARGS ?=
# Two at a time, a file of tests to one process, in the order of tests/conftest.py.
PARALLEL = -n 2 --dist loadfile --no-loadscope-reorder

SETUP = scripts/environment.sh $(PYTHON)
WATCHED = pyproject.toml constraints.txt scripts/environment.sh
# What must hold on every backend.
PORTABLE = tests/layers tests/models tests/training tests/scoring tests/generation

.PHONY: help demo test test-slow test-benchmarks test-backends check format clean
.DELETE_ON_ERROR:

help:
	@echo "make demo              train a small language model in two minutes and look at it"
	@echo "make test              the tests on the default backend (JAX), in six to seven minutes"
	@echo "make test-slow         those that take long: kills, sanitizers, the wheel"
	@echo "make test-benchmarks   the tests of rnnlm bench and of benchmarks/"
	@echo "make test-backends     the tests that concern TensorFlow and PyTorch too"
	@echo "make check             format, lint and types"
	@echo "make format            put the format right"
	@echo "make clean             remove the virtual environments and caches"

$(VENV)/ready: $(WATCHED)
	@$(SETUP) $(VENV) $@ .

$(VENV)/ready-dev: $(WATCHED)
	@$(SETUP) $(VENV) $@ '.[dev]'
	@touch $(VENV)/ready

$(BACKENDS_VENV)/ready: $(WATCHED)
	@$(SETUP) $(BACKENDS_VENV) $@ '.[dev,tensorflow,torch]' --no-compile kenlm

demo: $(VENV)/ready
	@$(VENV)/bin/rnnlm demo $(ARGS)

test: $(VENV)/ready-dev
	@KERAS_BACKEND=jax $(VENV)/bin/python -m pytest $(PARALLEL) -m "not backends and not benchmarks and not slow" $(ARGS)

test-slow: $(VENV)/ready-dev
	@KERAS_BACKEND=jax $(VENV)/bin/python -m pytest $(PARALLEL) -m "slow and not backends and not benchmarks" $(ARGS)

test-benchmarks: $(VENV)/ready-dev
	@KERAS_BACKEND=jax $(VENV)/bin/python -m pytest $(PARALLEL) -m "benchmarks and not backends" $(ARGS)

test-backends: $(BACKENDS_VENV)/ready
	@OMP_NUM_THREADS=1 KERAS_BACKEND=jax $(BACKENDS_VENV)/bin/python -m pytest $(PARALLEL) -m backends $(ARGS)
	@KERAS_BACKEND=tensorflow $(BACKENDS_VENV)/bin/python -m pytest $(PARALLEL) -m "not backends and not slow and not once" $(PORTABLE) $(ARGS)
	@OMP_NUM_THREADS=1 KERAS_BACKEND=torch $(BACKENDS_VENV)/bin/python -m pytest $(PARALLEL) -m "not backends and not slow and not once" $(PORTABLE) $(ARGS)

check: $(VENV)/ready-dev
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

format: $(VENV)/ready-dev
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

clean:
	rm -rf $(VENV) $(BACKENDS_VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
