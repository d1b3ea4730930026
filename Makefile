# Everything on a fresh machine: `make demo` schedules an attention kernel, `make test` runs the checks.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Without an NVIDIA driver a CPU build of torch is enough, and much smaller.
TORCH_FIRST := $(shell command -v nvidia-smi >/dev/null 2>&1 || echo torch==2.13.0)

.PHONY: demo test test-slow lint kills bench clean install

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(if $(TORCH_FIRST),$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH_FIRST))
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: install
	$(BIN)/twill schedule kernels/attention_forward --target h100 --subtile 2 --emit table --emit html:out/attention_forward_h100.html

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: install
	$(BIN)/python -m pytest -n 2 -m slow

# Searches killed at 50 random moments, and resumed.
kills: install
	OPTIML_KILLS=50 $(BIN)/python -m pytest -s tests/optiml/cli/test_kills.py

bench: install
	$(BIN)/python bench/solve.py

clean:
	rm -rf $(VENV) out dist build
