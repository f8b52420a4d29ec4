# Each of these does all it needs, on a fresh machine too: the environment is made and filled first.
#
#   make train    train digits; ARGS="module=mlp trainer.max_epochs=5" are overrides
#   make test     check, then run the tests; ARGS="-k gate" goes to pytest
#   make check    format, lint and types, of the code and of every experiment
#   make format   rewrite the code as `make check` wants it
#   make docs     write docs/options.md, the README's table of options and the JSON Schemas anew, from the schemas
#   make lock     write constraints.txt anew, with the newest versions that pyproject.toml allows
#   make clean    remove what the tools leave behind; keeps the environment and the runs
#
# PYTHON makes the environment (3.11, 3.12 or 3.13), VENV is where it is. A torch that is already in VENV and that
# pyproject.toml allows is kept.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

PIP_INSTALL = -m pip install -qq --disable-pip-version-check
INSTALLED = $(VENV)/.typed-lightning-app

.PHONY: help install train test check format docs lock clean

help:
	@sed -n 's/^#   //p' Makefile

install: $(INSTALLED)

train: $(INSTALLED)
	@$(VENV)/bin/python -m app $(ARGS)

test: check
	@$(VENV)/bin/python -m pytest $(ARGS)

check: $(INSTALLED)
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/python -m app check --types --shapes

format: $(INSTALLED)
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

docs: $(INSTALLED)
	@$(VENV)/bin/python docs/write_options.py
	@$(VENV)/bin/python -m app schema

# Torch comes first and alone: its build for this machine brings what it needs, GPU libraries included. All else is
# pinned to the last package. Setuptools is there before the packages that are built here, this one among them.
$(INSTALLED): constraints.txt pyproject.toml
	@test -x $(VENV)/bin/python || $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo 'needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.12' >&2; exit 1; }
	@test -x $(VENV)/bin/python || { echo 'making $(VENV) …'; $(PYTHON) -m venv $(VENV); }
	@$(VENV)/bin/python $(PIP_INSTALL) -c constraints.txt setuptools
	@$(VENV)/bin/python -c 'import torch; v = torch.__version__.split("."); assert (2, 13) <= (int(v[0]), int(v[1])) < (3,)' \
		2>/dev/null || { echo 'installing torch, the largest part …'; \
		$(VENV)/bin/python $(PIP_INSTALL) -c constraints.txt "$$(grep '^torch==' constraints.txt)"; }
	@echo 'installing everything else …'
	@grep -v '^torch==' constraints.txt > $(INSTALLED).txt
	@$(VENV)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation -r $(INSTALLED).txt
	@$(VENV)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

# What torch's build for this machine adds, and its name for it (+cpu), is left out: other machines have other builds.
lock:
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python $(PIP_INSTALL) "$$(grep '^torch==' constraints.txt)"
	@build/lock/bin/python $(PIP_INSTALL) '.[tensorboard,mlflow,parquet,onnx,kornia,albumentations,detection,check,dev]'
	@sed -n '/^#/p' constraints.txt > build/constraints.txt
	@build/lock/bin/python -m pip freeze --all --exclude pip --exclude typed-lightning-app \
		| grep -Ev '^(nvidia|cuda|triton)' | sed 's/+[^+]*$$//' >> build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/lock

clean:
	@rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find app tests benchmarks docs -name __pycache__ -type d -exec rm -rf {} +
