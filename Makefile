# `make sweep` and `make test` need nothing but Python 3.11 or newer, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: sweep test test-slow test-gpu check format clean

sweep: $(VENV)/installed
	$(BIN)/python run_sweep.py --group depth

test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not ray" --numprocesses 2 --dist loadfile
	$(BIN)/python -m pytest -m "ray and not slow"

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -m slow

test-gpu: $(VENV)/installed-test
	$(BIN)/python -m pytest -m gpu

check: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e ".[test]"
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
