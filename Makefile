# `make demo` needs Python 3.11 or newer with pip, nothing else.
PYTHON ?= python3
UV ?= uv
PHOTO ?=
ARGS ?=

CORE := .venv
DEV := .venv-dev
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check lock golden bench docs

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(CORE)/.ready  ## read the expression on a portrait, or on PHOTO=path
	@$(CORE)/bin/python examples/demo.py "$(PHOTO)"

test: $(DEV)/.ready  ## run the tests (more of them where MIEN_DATA names the data)
	@$(DEV)/bin/pytest -q -n 2 --dist loadscope $(ARGS)

check: $(DEV)/.ready  ## style, types and the import ladder
	@$(DEV)/bin/ruff check .
	@$(DEV)/bin/ruff format --check .
	@$(DEV)/bin/mypy
	@$(DEV)/bin/lint-imports --no-cache

golden: $(DEV)/.ready  ## write the golden files anew; say why in CHANGELOG.md
	@$(DEV)/bin/pytest -q --golden $(ARGS)

bench: $(DEV)/.ready  ## measure speed and write docs/benchmarks (minutes; ARGS=--quick for a look)
	@set -e; for script in $(filter-out %_rows.py,$(wildcard benchmarks/*.py)); do echo "$$script"; $(DEV)/bin/python "$$script" $(ARGS); done

docs: $(DEV)/.ready  ## build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(DEV)/bin/mkdocs build --quiet --strict

COMPILE = env -u PIP_FIND_LINKS $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --overrides lock-overrides.txt

lock:  ## resolve both lock files again (needs uv)
	$(COMPILE) --extra faces --extra train --extra tables --group dev pyproject.toml -o requirements-dev.lock $(ARGS)
	$(COMPILE) --extra faces --extra report --group build pyproject.toml -c requirements-dev.lock -o requirements.lock

# Environments: exactly the locked files, then the working tree; nothing is resolved.

$(CORE)/.ready: requirements.lock pyproject.toml
	$(call environment,$(CORE),requirements.lock)

$(DEV)/.ready: requirements-dev.lock pyproject.toml
	$(call environment,$(DEV),requirements-dev.lock)

define environment
@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "mien needs Python 3.11 or newer; say which with: make PYTHON=python3.11")'
@echo "installing $(2) into $(1)"
@$(PYTHON) -m venv $(1)
@$(1)/bin/python -m pip install -qq --require-hashes --no-deps -r $(2)
@$(1)/bin/python -m pip install -qq --no-deps --no-build-isolation -e .
@touch $@
endef
