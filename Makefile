.PHONY: run up update unit test check format lock setup dev
EVERGREEN := .venv/bin/evergreen

run: setup          ## the main job: from raw flights to a champion model
	@$(EVERGREEN) run

up: setup           ## the Prefect and MLflow pages of this project, until Ctrl-C
	@$(EVERGREEN) up

update: setup       ## merge what is new in the template this project was made from
	@$(EVERGREEN) update

unit: dev           ## the quick tests
	@.venv/bin/pytest -q -n 2 -m "not slow and not gpu"

test: dev           ## all tests
	@.venv/bin/pytest -q -n 2 --dist worksteal -m "not gpu"

check: dev          ## format, lint, types, import contracts
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

format: dev         ## write the format that `check` asks for
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

# template: begin template-only
bench: dev          ## what is said about speed, measured side by side
	@.venv/bin/python -m benchmarks.main_job

new: dev            ## a new project, from this template, beside this folder
	@.venv/bin/cookiecutter . -o ..

# template: end template-only
lock:               ## pin the newest versions that fit pyproject.toml (needs uv)
	@requirements/lock.sh

setup:
	@./setup.sh run

dev:
	@./setup.sh dev
