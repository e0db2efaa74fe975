# Everything a developer types. Needs make and Python 3.11 or newer; all else is installed into .envs/.
#
# AIRFLOW chooses the Airflow: 2.11, 3.0, 3.1, 3.2, 3.3 (default) or 3.4.
# PYTHON  chooses the interpreter that makes the environments.
# COVERAGE=yes lets "make test" on the newest Airflow count the branches of the client as well.

AIRFLOW ?= 3.3
PYTHON ?= python3

# The environment's Python, made ready first.
READY = environment=$$($(PYTHON) -m dev.environments $(AIRFLOW)) && $$environment/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo ui quick test fuzz model reader tables places thirty-days mutants matrix lint wheel bench system soak e2e e2e-celery docs release-check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  make test AIRFLOW=2.11 (or 3.0, 3.1, 3.2, 3.4) runs the tests on another Airflow."

demo: ## Run three mornings of a fleet through a real Airflow against the emulator, and show its machine days
	@$(READY) -m dev.demo

ui: ## Start Airflow with its web interface, the examples and the emulator, until Ctrl-C
	@$(READY) -m dev.ui

quick: ## Check format, lint and types, and run the tests that need no server: half a minute
	@$(READY) -m dev.check --only quick

test: ## Check format, lint, types and run all tests
	@$(READY) -m dev.check

fuzz: ## Try 10,000 examples of every entry of outside bytes, and 500 sequences of the model of a transfer
	@$(READY) -m pytest --numprocesses=auto --hypothesis-profile=nightly tests/fuzz tests/iris/export/test_model.py

model: ## Let 2,000 sequences of 30 steps happen to a transfer: kills, faults, two writers, clocks (an hour)
	@$(READY) -m pytest --hypothesis-profile=sequences tests/iris/export/test_model.py

reader: ## Follow a result in a folder and in S3 while its writers are killed at random (four minutes)
	@export AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR; $(READY) -m tests.airflow.reader_beside_writers

tables: ## Make machine days of 1,000 fleets on Arrow, in DuckDB and in a PostgreSQL, and merge into both
	@$(READY) -m pytest --hypothesis-profile=fleets --override-ini="python_files=test_*.py against_*.py" tests/tables

places: ## Raise at every place of a transfer where a signal can come, and let tries meet in every order (an hour)
	@$(READY) -m tests.iris.export.every_place && $(READY) -m tests.iris.export.interleavings

mutants: ## Change the client in thousands of small ways, and count the changes that a test notices (half an hour)
	@environment=$$($(PYTHON) -m dev.environments --mutants) && $$environment/bin/python -m dev.mutants

matrix: ## Run all tests on every supported Airflow and Python, from the wheel, and on the lowest versions
	@$(PYTHON) -m dev.matrix

lint: ## Check format, lint and types only, and ask for known vulnerabilities of the dependencies
	@$(READY) -m dev.check --only static

wheel: ## Build the files of a release from a clean tree, check them, install and ask them
	@$(PYTHON) -m dev.wheel

bench: ## Measure imports, requests and transfers beside what people use today
	@environment=$$($(PYTHON) -m dev.environments --bench $(AIRFLOW)) && \
	export AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR && \
	$$environment/bin/python -m dev.benchmarks.import_time && \
	$$environment/bin/python -m dev.benchmarks.requests && \
	$$environment/bin/python -m dev.benchmarks.transfer && \
	$$environment/bin/python -m dev.benchmarks.triggers && \
	$$environment/bin/python -m dev.benchmarks.incremental

system: ## Kill the triggerer, take the API away, watch and run the examples in a real Airflow
	@$(READY) -m tests.system

thirty-days: ## Bring a month of 300 machines into two databases under kills, and check it against the truth (half an hour)
	@$(READY) -m tests.tables.thirty_days

soak: ## Let twelve hours of a day's schedule pass in nine minutes, under faults, and check what came of it
	@$(READY) -m tests.soak

e2e: ## Fill in the connection form, press its test and look at a run with a real browser, on each Airflow that has the button
	@for airflow in 2.11 3.1 3.2 3.3 3.4; do \
	environment=$$($(PYTHON) -m dev.environments --e2e $$airflow) && \
	$$environment/bin/python -m tests.e2e.form || exit 1; done

# Not with --quiet: a warning that is not said is none for --strict.
docs: ## Build the site of the docs into site/, with no warning
	@environment=$$($(PYTHON) -m dev.environments --docs) && \
	NO_MKDOCS_2_WARNING=1 PATH=$$environment/bin:$$PATH $$environment/bin/python -m mkdocs build --strict

e2e-celery: ## Kill a real Celery worker in the middle of a fan-out, between PostgreSQL and Redis
	@environment=$$($(PYTHON) -m dev.environments --e2e) && $$environment/bin/python -m tests.e2e.workers

release-check: ## Say what is missing before a release
	@$(PYTHON) -m dev.release_check

clean: ## Remove the environments, scratch files and caches
	rm -rf .envs .airflow .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* build dist site mutants
