# Needs Python >= 3.11 and make. `make help` lists the targets.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-lowest lint format clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.installed ## install, then run a whole transfer on drawn images: no data and no weights to fetch
	$(BIN)/transfusion fit --config configs/demo.yaml

test: lint ## install with the test tools, then lint, types and tests (ten minutes on two cores)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: $(VENV)/.installed-tests ## the slow tests: several processes, signals, every payload (half an hour)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

test-lowest: ## the tests on the lowest versions that pyproject.toml declares, in an environment of their own
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet uv
	$(VENV)-lowest/bin/python -m uv pip install --python $(VENV)-lowest/bin/python --resolution lowest-direct --editable '.[tests]'
	$(VENV)-lowest/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

lint: $(VENV)/.installed-tests ## lint, format check and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-tests ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and all caches
	rm -rf $(VENV) $(VENV)-lowest .mypy_cache .pytest_cache .ruff_cache .hypothesis

# uv installs in a fraction of pip's time; where it cannot (a mirror set in pip.conf alone), pip does.
define install
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.12 $(MAKECMDGOALS)" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(BIN)/python -m ensurepip
	@$(BIN)/python -m pip install --quiet uv || true
	$(BIN)/python -m uv pip install --python $(BIN)/python --editable '$(1)' --constraint constraints.txt \
		|| $(BIN)/python -m pip install --editable '$(1)' --constraint constraints.txt
endef

$(VENV)/.installed: pyproject.toml constraints.txt
	$(call install,.)
	@touch $@

$(VENV)/.installed-tests: pyproject.toml constraints.txt
	$(call install,.[tests])
	@touch $@ $(VENV)/.installed
