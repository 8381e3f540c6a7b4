# One word for each thing. Everything happens in .venv; nothing is installed outside it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NEWEST := .newest
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
COMPILED := PYTHONDONTWRITEBYTECODE=  # tests start hundreds of interpreters: each would compile all modules again
PROCESSES := 4  # of pytest; more than two cores, because tests wait for the processes that they start
PROSE := README.md CONTRIBUTING.md CHANGELOG.md docs src tests studies tools

.PHONY: climb unit test test-all check site newest dist bench independent redteam clean

climb: $(VENV)/run  ## climb weak-to-strong for two minutes, open the sealed test, write the report
	@$(BIN)/toprope climb w2s/bank-v2 --minutes 2 --unseal --report

unit: $(VENV)/dev  ## tests that start no process
	@$(COMPILED) $(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal -m "not e2e and not slow"

test: $(VENV)/dev  ## the fast suite
	@$(COMPILED) $(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal -m "not slow"

test-all: $(VENV)/dev  ## with the slower forms
	@$(COMPILED) $(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal

check: $(VENV)/dev  ## style, strict types, import contracts, plain words
	@$(BIN)/ruff check src tests tools studies
	@$(BIN)/ruff format --check src tests tools studies
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/plain_words.py $(PROSE)

site: $(VENV)/docs  ## the documentation as a site in build/site; a broken link or anchor is an error
	@$(BIN)/zensical build --strict --clean

newest:  ## the unit tests with the newest releases of everything, in an environment without constraints.txt
	@rm -rf $(NEWEST) && $(PYTHON) -m venv $(NEWEST)
	@$(NEWEST)/bin/pip install --quiet --disable-pip-version-check --upgrade --editable ".[dev]"
	@$(NEWEST)/bin/pip freeze --exclude-editable | diff --ignore-case constraints.txt - | grep '^>' || echo "nothing is newer"
	@$(COMPILED) $(NEWEST)/bin/python -m pytest -m "not e2e and not slow"

dist: $(VENV)/dev  ## wheel and source distribution in dist/
	@$(BIN)/python -m build --outdir dist

bench: $(VENV)/run  ## what an experiment costs here, as ratios taken side by side
	@$(BIN)/toprope bench

independent: $(VENV)/run  ## the flagship claim over five independent runs
	@$(BIN)/python -m studies independent w2s/bank-v2 --runs 5 --minutes 2

redteam: $(VENV)/run  ## every known cheat against weak-to-strong: exit 1 if one pays
	@$(BIN)/toprope redteam w2s/bank-v2

$(VENV)/run: pyproject.toml constraints.txt
	@echo "installing into $(VENV)" >&2; start=$$(date +%s); \
	$(PYTHON) -m venv $(VENV) && $(PIP) --editable . && touch $@ && echo "installed in $$(( $$(date +%s) - start )) s" >&2

$(VENV)/dev: $(VENV)/run
	@$(PIP) --editable ".[dev]"
	@touch $@

$(VENV)/docs: $(VENV)/dev
	@$(PIP) --editable ".[docs]"
	@touch $@

clean:
	rm -rf $(VENV) $(NEWEST) build dist src/*.egg-info
