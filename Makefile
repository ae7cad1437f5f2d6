# Distill Lab. `make` alone lists the commands. Only relative paths, so a checkout may lie
# in a folder whose name has a space.

PYTHON ?= python3
TORCH  ?= 2.13.0
WORKERS ?= auto

ENV := .venv
PY  := $(ENV)/bin/python
# The stamp's name carries what the environment was made from, and where: change the lock, the
# package's metadata or the folder and it is made again; otherwise a repeat costs nothing.
KEY   := $(shell { pwd; cat pyproject.toml requirements.lock 2>/dev/null; } | cksum | tr -s ' ' '-')
READY := $(ENV)/ready-$(KEY)

# The peers have an environment of their own; its stamp carries what it was made from, too.
PEERS   := tests/losses/golden/requirements.txt
BENCH   := build/bench-env
BENCHED := $(BENCH)/ready-$(shell { pwd; cat pyproject.toml requirements.lock benchmarks/peers.txt; } | cksum | tr -s ' ' '-')
ORACLES := build/oracles-env
ASKED   := $(ORACLES)/ready-$(TORCH)-$(shell cat $(PEERS) 2>/dev/null | cksum | tr -s ' ' '-')

# --no-compile halves the time of an install: what is really used is compiled by importing it once.
INSTALL = -m pip install --quiet --no-compile --disable-pip-version-check
compile = env -u PYTHONDONTWRITEBYTECODE PYDEVD_DISABLE_FILE_VALIDATION=1 $(1) -W ignore .ci/compile.py

# Files go to the workers whole, lessons one by one: see conftest.py.
TESTS = $(PY) -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadscope --junit-xml=build/$@.xml

.DEFAULT_GOAL := help
.PHONY: help course lab lint check test test-all project mutants oracles bench env lock clean
.NOTPARALLEL:

list = sed -n 's/^\([a-z-]*\):.*\#\# $(1): \(.*\)/  make \1 | \2/p' Makefile | awk -F'|' '{printf "%-16s%s\n", $$1, $$2}'

help:  ## learn: list these commands
	@echo "Distill Lab. The first command also installs what it needs, in the folder $(ENV)."
	@echo
	@echo "To learn:"
	@$(call list,learn)
	@echo
	@echo "To change the project:"
	@$(call list,develop)
	@echo
	@echo "Start with: make lab. If something does not work: $(PY) -m distill_lab.cli doctor"

lab: $(READY)  ## learn: open the first lesson in JupyterLab
	@$(PY) -m distill_lab.cli lab

course: $(READY)  ## learn: run every lesson, a minute each, and write the pages to build/course
	@$(PY) -m distill_lab.cli run --profile quick --out build/course

lint: $(READY)  ## develop: style and type checks
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

check: lint  ## develop: lint, units, lint of lessons, solutions (5 minutes on two cores)
	@$(TESTS) -m "not (lesson or browser or server or slow or exhaustive)"

test: lint  ## develop: all that a change can break: check, every lesson, browser, servers (19 minutes)
	@$(TESTS) -m "not exhaustive"

test-all: lint mutants  ## develop: every test there is: the hundred kills, every mutant, the tutor's build
	@$(TESTS)

project: $(READY)  ## develop: what test and course would take with thirty lessons, from their last runs
	@$(PY) -m tests.projection $(ARGS)

bench: $(BENCHED)  ## develop: measure beside the peers, write benchmarks/RESULTS.md
	@$(BENCH)/bin/python benchmarks/run.py $(ARGS)

oracles: $(ASKED)  ## develop: ask the peers again, rewrite the golden values of the tests
	@PYTHONPATH=. PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 \
	  TRL_EXPERIMENTAL_SILENCE=1 $(ORACLES)/bin/python -m tests.losses.golden.make

mutants: $(READY)  ## develop: put every known mistake back: a test has to catch it
	@$(PY) -m tests.mutants.run $(ARGS)

env: $(READY)  ## develop: only build the environment
	@echo "The environment in $(ENV) is ready."

clean:  ## develop: remove what the commands made (build, caches); the environment stays
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(ENV)/*' -prune -exec rm -rf {} +

# The stamp is removed first and made last: an install that was interrupted leaves none.
$(READY):
	@rm -f $(ENV)/ready-*
	@python=""; \
	for name in "$(PYTHON)" python3.13 python3.12 python3.11; do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python="$$name"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Distill Lab needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo missing)."; \
	  echo "Install a newer Python, then name it: make $(or $(MAKECMDGOALS),env) PYTHON=/path/to/python3.12"; exit 1; \
	fi; \
	if ! $(PY) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "Making the environment in $(ENV) with $$("$$python" --version)."; \
	  "$$python" -m venv --clear $(ENV) || { \
	    rm -rf $(ENV); \
	    echo "Python's venv module failed. On Debian or Ubuntu: sudo apt install python3-venv, then try again."; exit 1; }; \
	fi
	@echo "Installing what requirements.lock names (about two minutes the first time)."
	@$(PY) $(INSTALL) -r requirements.lock
	@$(PY) $(INSTALL) --no-deps -e .
	@$(call compile,$(PY))
	@touch $(READY)

$(BENCHED):
	@echo "Installing requirements.lock and the peers of benchmarks/peers.txt in $(BENCH)."
	@rm -rf $(BENCH)
	@"$(PYTHON)" -m venv $(BENCH)
	@$(BENCH)/bin/python $(INSTALL) -r requirements.lock
	@$(BENCH)/bin/python $(INSTALL) --no-deps -r benchmarks/peers.txt -e .
	@$(call compile,$(BENCH)/bin/python)
	@touch $(BENCHED)

$(ASKED):
	@echo "Installing the peers that $(PEERS) names in $(ORACLES)."
	@rm -rf $(ORACLES)
	@"$(PYTHON)" -m venv $(ORACLES)
	@$(ORACLES)/bin/python $(INSTALL) torch==$(TORCH)
	@$(ORACLES)/bin/python $(INSTALL) --no-deps -r $(PEERS)
	@touch $(ASKED)

# For every system at once; uv reads the groups only of a project that it manages. The GPU libraries
# that some builds of torch bring along are left out: each machine picks its own.
lock:  ## develop: renew requirements.lock from pyproject.toml
	@rm -rf build/lock && mkdir -p build/lock
	@"$(PYTHON)" -m venv build/lock/env && build/lock/env/bin/python $(INSTALL) uv
	@sed '/^managed = /d' pyproject.toml > build/lock/pyproject.toml
	@echo "torch==$(TORCH)" > build/lock/torch.txt
	@cp requirements.lock build/lock/pins.txt  # stays as it is, but for make lock ARGS=--upgrade
	cd build/lock && env/bin/uv pip compile --quiet --universal --python-version 3.11 $(ARGS) \
	  --all-extras --group dev --group models --constraint torch.txt --no-annotate --no-header \
	  pyproject.toml --output-file pins.txt
	@{ echo "# Every package the project was tested with. Written by: make lock"; \
	  grep -vE '^(nvidia-|cuda-|triton)|== .emscripten.$$' build/lock/pins.txt; } > requirements.lock
	@rm -rf build/lock
