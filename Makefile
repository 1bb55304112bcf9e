.PHONY: run up unit test check format bench lock setup dev
EVERGREEN := .venv/bin/evergreen

run: setup          ## the main job: from raw flights to a champion model
	@$(EVERGREEN) run

up: setup           ## the Prefect and MLflow pages of this project, until Ctrl-C
	@$(EVERGREEN) up

unit: dev           ## the quick tests
	@.venv/bin/pytest -q -n 2 -m "not slow and not gpu"

test: dev           ## all tests
	@.venv/bin/pytest -q -n 2 --dist worksteal -m "not gpu"

check: dev          ## format, lint, types, import contracts
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

format: dev         ## write the format that `check` asks for
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

bench: dev          ## what the README says about speed, measured side by side
	@.venv/bin/python -m benchmarks.main_job

lock:               ## pin the newest versions that fit pyproject.toml (needs uv)
	@requirements/lock.sh

setup:
	@./setup.sh run

dev:
	@./setup.sh dev
