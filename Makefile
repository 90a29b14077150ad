# Two commands, each of which does all its own set-up: `make train` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CONFIG ?= configs/digits.yaml

.PHONY: train test lint wheel clean

train: $(VENV)/.installed ## train a network on handwritten digits
	$(BIN)/gpucnn train $(CONFIG)

test: $(VENV)/.installed-test lint ## everything that CI runs but the wheel
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: $(VENV)/.installed-test ## build the wheel, install it into an empty environment, train from another folder
	rm -rf dist && $(BIN)/python -m build --wheel
	sh tests/wheel.sh dist/*.whl $(PYTHON)

clean:
	rm -rf $(VENV) dist build *.egg-info

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "gpucnn needs Python 3.11 or newer: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[plots]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@
