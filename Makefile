# Everything a newcomer types. Needs Python >= 3.11, make and git; uv is fetched when it is absent.
.PHONY: install install-spark demo demo-spark test lint calibrate lock clean
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SPARK := $(VENV)/.installed-spark

help:
	@echo "make install   the environment in .venv, from the hash-locked requirements"
	@echo "make demo      the main job: four nights of examples/flight-delays, with a table and a report"
	@echo "make demo-spark  four weeks of examples/fraud-spark: Spark ML models, A/B-tested on Spark"
	@echo "make install-spark  Spark and a Java for it into .venv, 600 MB; demo-spark and test do that first"
	@echo "make test      lint, types, import contracts and the whole test suite"
	@echo "make lint      lint, types and import contracts only"
	@echo "make calibrate thousands of simulated A/B tests: does the gate keep its promises? ten minutes"
	@echo "make lock      resolve the requirement files again"
	@echo "make clean     remove the environment and what demo and tests left"

install: $(STAMP)

$(STAMP): requirements/dev.txt requirements/uv.txt pyproject.toml infra/install.sh
	@sh infra/install.sh $(VENV)
	@touch $@

install-spark: $(SPARK)

# The same versions as in dev.txt: the two files are resolved together. A new .venv loses this stamp, too.
$(SPARK): $(STAMP) requirements/spark.txt
	@echo "installing Spark and a Java for it ..."
	@VIRTUAL_ENV=$(VENV) $(if $(PYTHONDONTWRITEBYTECODE),UV_COMPILE_BYTECODE=1) \
		$(BIN)/uv pip install -q --require-hashes -r requirements/spark.txt
	@touch $@

demo: install
	@$(BIN)/python examples/demo.py

demo-spark: install-spark
	@$(BIN)/python examples/demo_spark.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint install-spark
	$(BIN)/pytest

calibrate: install
	@$(BIN)/python benchmarks/calibrate.py

lock: install
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate pyproject.toml --extra aws --extra kubernetes --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate pyproject.toml --extra aws --extra kubernetes -c requirements/dev.txt -o requirements/image.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate pyproject.toml --extra aws --extra kubernetes --extra spark -c requirements/dev.txt -o requirements/spark.txt
	echo uv==$$($(BIN)/uv --version | cut -d' ' -f2) | \
		$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate - -o requirements/uv.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	rm -rf examples/*/.ame examples/*/.ame.previous
