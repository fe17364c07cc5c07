# One virtual environment serves every target. A fresh machine needs python3 (3.11 or newer), git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# First and by itself: left to the other packages' requirements, pip would take whatever is newest.
TORCH := torch==2.13.0
STAMP := $(VENV)/.installed
DEMO ?= demo
COMMANDS := tests/cli tests/ingest tests/review

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: setup
setup: $(STAMP) ## Make the virtual environment and install everything into it

$(STAMP): pyproject.toml Makefile
	PYTHON="$(PYTHON)" sh .ci/venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

.PHONY: demo
demo: $(STAMP) ## Draw sample pictures and take them the whole way, offline, into demo/
	$(BIN)/capprep demo $(DEMO)

.PHONY: test
test: $(STAMP) ## Run the tests with coverage
	$(BIN)/python -m coverage erase
	@# in two processes, which take about as long as each other
	$(BIN)/python -m coverage run -m pytest -p no:cacheprovider $(COMMANDS) & first=$$!; \
	$(BIN)/python -m coverage run -m pytest $(addprefix --ignore=,$(COMMANDS)); second=$$?; \
	wait $$first && exit $$second
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

.PHONY: lint
lint: $(STAMP) ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

.PHONY: slow
slow: $(STAMP) ## Run the tests that take minutes or gigabytes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,ray]"
	$(BIN)/python -m pytest -m slow

.PHONY: bench
bench: $(STAMP) ## Run every benchmark
	@for file in $$(grep -l __main__ tests/bench/*.py); do echo "== $$file"; $(BIN)/python $$file || exit 1; done

.PHONY: clean
clean: ## Take away everything that was built, the demo too
	rm -rf $(VENV) $(DEMO) build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
