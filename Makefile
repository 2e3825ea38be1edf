# make demo    the live dashboard on simulated data, from a fresh checkout
# make test    lint, then all tests; ARGS="-k name" goes to pytest
# make coverage  what the core's own tests run through, line by line
# make lint    style, types and layers
# make lock    rewrite run.lock and test.lock; ARGS=--upgrade takes newer releases
# make clean   remove the environment, fetched assets and caches; never data
#
# Needed: python3 >= 3.11 with venv, make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
PIP := $(UV) pip install --quiet --python $(BIN)/python
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
AXE := web/frontend/node_modules/axe-core/axe.min.js
UPLOT := web/static/vendor/uplot/uPlot.iife.min.js

# An install is done again when the content of what it was made from changes.
INPUTS := pyproject.toml hatch_build.py web/frontend/package-lock.json
key = $(shell cat $(1) $(INPUTS) 2>/dev/null | cksum | tr ' ' -)
RUN := $(VENV)/.run-$(call key,run.lock)
TEST := $(VENV)/.test-$(call key,test.lock)

# Bytecode is kept: without it each start of the server spends ten seconds more on imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test coverage lint lock clean browser

demo: $(RUN)
	$(BIN)/anomalyai demo $(ARGS)

test: lint browser $(AXE)
	$(BIN)/python -c 'from stream.warmup import warm_up_model, warm_up_scoring; warm_up_scoring(); warm_up_model()'
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder $(ARGS)

# Apart from the tests, since counting lines doubles their time.
coverage: $(TEST)
	$(BIN)/python -m pytest --numprocesses=2 --cov=anomalyai --cov-report=term tests/anomalyai $(ARGS)

lint: $(TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What looks for hindrances on the pages; its test is skipped where npm is missing.
$(AXE): web/frontend/package-lock.json
	@if command -v npm >/dev/null; then npm --prefix web/frontend ci --ignore-scripts --no-audit --no-fund; \
	else echo 'No npm on this machine: the pages are not looked through for hindrances.'; fi

lock: $(UV)
	$(COMPILE) $(ARGS) --extra test --extra e2e --extra lint --output-file test.lock pyproject.toml
	$(COMPILE) $(ARGS) --constraint test.lock --output-file run.lock pyproject.toml

clean:
	rm -rf $(VENV) web/static/vendor web/frontend/node_modules build dist *.egg-info .coverage htmlcov test-results
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'

$(RUN): | $(UV)
	$(call install,run)

$(TEST): | $(UV)
	$(call install,test)

define install
	$(PIP) --require-hashes -r $(1).lock
	$(PIP) --no-deps --reinstall-package anomalyai --editable .
	@test -f $(UPLOT) || echo 'uPlot could not be fetched: the live charts use Plotly ("make clean" to try again).'
	@rm -f $(VENV)/.$(1)-*
	@touch $@
endef

browser:
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'Installing Chromium for the browser tests.'; \
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq install --yes --no-install-recommends chromium >/dev/null; } \
			|| echo 'Chromium could not be installed: the browser tests are skipped.'; \
	else \
		echo 'No Chromium on this machine: the browser tests are skipped.'; \
	fi
