PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

API := config metrics sweeps live branching measuring analysis explorer exporting study claims

.PHONY: demo test lint figures docs clean

demo: $(VENV)/demo.stamp ## a real sweep and its figure
	$(BIN)/grokjax run demo/quickstart
	$(BIN)/grokjax draw demo/quickstart

test: lint ## every test
	$(BIN)/python -m pytest -n 2

figures: $(VENV)/demo.stamp ## every figure, REPORT.md and the studies' pages, from the reference results, without training
	$(BIN)/grokjax report --folder=results/reference --draw --out=REPORT.md --pages=docs/studies --readme=README.md

docs: $(VENV)/docs.stamp ## the API reference, from docstrings: site/index.html
	$(BIN)/pdoc --docformat google --output-directory site grokjax $(API:%=grokjax.%)

lint: $(VENV)/test.stamp ## formatting and common mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/demo.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "grokjax needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

$(VENV)/docs.stamp: $(VENV)/demo.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

clean: ## what make has built
	rm -rf $(VENV) site
