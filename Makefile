# Needs make and Python 3.11 or newer with pip; everything else is installed into .venv.
#
#   make demo    a service with two worker processes on a private Redis, and a client that calls it
#   make test    the whole test suite; PYTEST_ARGS="-k name" narrows it
#   make lint    ruff and import-linter        make types   mypy and pyright
#   make docs    the documentation, in docs/_build/html
#   make bench   the benchmarks; BENCH_ARGS="--help" tells more
#   make clean   remove everything that these targets made
#
# The other sessions (other Pythons, wheels, oldest and newest dependencies, faults) are listed by `.venv/bin/nox -l`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first interpreter on PATH that is new enough. Versions that our CI knows come first.
PYTHON ?= $(shell \
	for python in python3 python3.13 python3.12 python3.11 python; do \
		"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
			&& echo "$$python" && exit; \
	done; \
	for python in python3 python; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && exit; \
	done)

VENV := .venv
BIN := $(VENV)/bin
NOX := $(BIN)/python -m nox
PACKAGES := common client server transport-redis testing
PYPROJECTS := $(PACKAGES:%=packages/%/pyproject.toml)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test lint types docs bench clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.packages
	@$(BIN)/python examples/demo.py

test: $(VENV)/.tools
	@$(NOX) -s test -- $(PYTEST_ARGS)

lint types docs: $(VENV)/.tools
	@$(NOX) -s $@

bench: $(VENV)/.tools
	@$(NOX) -s bench -- $(BENCH_ARGS)

clean:
	rm -rf .venv .venv-original .venv-original.lock .nox dist build docs/_build .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .coverage htmlcov benchmarks/.environments
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps stand for the three stages of .venv, so that nothing is installed again until a pyproject.toml changes.
# `pip install --group` needs pip 25.1.

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found on PATH." >&2; exit 1; }
	@echo "Creating $(VENV) with $(PYTHON) ..."
	@rm -rf $(VENV)
	@# Debian's Python may come without ensurepip; then the pip outside installs the one inside.
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || $(PYTHON) -m venv --clear --without-pip $(VENV)
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'; \
	else \
		$(PYTHON) -m pip --python $(BIN)/python install -q 'pip>=25.1'; \
	fi
	@touch $@

$(VENV)/.packages: $(VENV)/.created $(PYPROJECTS)
	@echo "Installing the five packages ..."
	@$(BIN)/python -m pip install -q $(PACKAGES:%=-e packages/%) -e 'packages/testing[redis]'
	@touch $@

$(VENV)/.tools: $(VENV)/.packages pyproject.toml
	@echo "Installing what tests and checks need ..."
	@$(BIN)/python -m pip install -q --group dev $(PACKAGES:%=-e packages/%)
	@touch $@
