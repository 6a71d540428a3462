# make demo: upscale the picture in examples/.   make test: run the tests.   make serve: the page.
# All build what they need in .venv and touch nothing else.

PYTHON ?= python3
# The newest PyTorch that bigsharp has been run on; only the tests and training need it.
TORCH ?= torch==2.13.0
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo serve test test-slow lint fix speed sanitize clean

demo: .venv/base
	@mkdir -p demo
	@echo "upscaling examples/astronaut.png by 3:"
	@$(BIN)/bigsharp upscale examples/astronaut.png -o demo/astronaut-x3.png --scale 3 --overwrite

serve: .venv/server
	$(BIN)/bigsharp serve --open

# Two workers, each of which computes on one core.
test: .venv/dev
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test-slow: .venv/dev
	$(BIN)/python -m pytest -m slow

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror native/*.cpp native/*.hpp tests/native/*.cpp

fix: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i native/*.cpp native/*.hpp tests/native/*.cpp
	$(BIN)/python tools/reference.py

speed: .venv/dev
	for name in startup resize upscale cleaning many engines train methods colours passes; do \
	  $(BIN)/python speed/$$name.py || exit 1; done

# The engine under the compiler's sanitizers; address and undefined go together.
sanitize: .venv/dev
	$(PIP) install --quiet cmake
	for kind in address,undefined thread; do \
	  $(BIN)/cmake -S . -B build/$$kind -DBIGSHARP_CHECK=ON \
	    -DBIGSHARP_SANITIZE=$$kind && $(BIN)/cmake --build build/$$kind && build/$$kind/check || exit 1; \
	done

.venv/base: pyproject.toml CMakeLists.txt $(wildcard native/*)
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --editable .
	@touch $@

.venv/server: .venv/base
	$(PIP) install --quiet --editable ".[server]"
	@touch $@

.venv/dev: .venv/base
	$(PIP) install --quiet $(TORCH)
	$(PIP) install --quiet --editable ".[dev]"
	@touch $@

clean:
	rm -rf .venv demo build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
