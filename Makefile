.PHONY: run up stack update unit test kind gpu check format bench bake bakes long new lock setup dev
EVERGREEN := .venv/bin/evergreen
PYTEST := PYTHONDONTWRITEBYTECODE= .venv/bin/pytest -q

run: setup          ## the main job: from raw flights to a champion model
	@$(EVERGREEN) run

up: setup           ## it runs by itself: pages, schedules, triggers, a worker, until Ctrl-C
	@$(EVERGREEN) up

stack:              ## the same in containers, on PostgreSQL, until `docker compose -f infra/compose.yaml down`
	@infra/up.sh

update: setup       ## merge what is new in the template this project was made from
	@$(EVERGREEN) update

unit: dev           ## the quick tests
	@PYTHONDONTWRITEBYTECODE= .venv/bin/python tests/unit.py

test: dev           ## all tests but those of `make gpu` and `make long`
	@$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder -m "not gpu and not long"

kind: dev           ## the tests of one kind: `make kind KIND=data`, model, infrastructure, security or software
	@files=$$(.venv/bin/python tests/kinds.py $(KIND)) && $(PYTEST) -n 2 --dist loadfile -m "not gpu and not long" $$files

gpu: dev            ## what needs an NVIDIA GPU
	@$(PYTEST) -m gpu

check: dev          ## format, lint, types, import contracts
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

format: dev         ## write the format that `check` asks for
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

bench: dev          ## what is said about speed, measured side by side
	@.venv/bin/python -m benchmarks.main_job

bake: dev           ## a new project adopts a table, runs, and passes all its own tests
	@$(PYTEST) -m long tests/template -k without

bakes: dev          ## the same, and one with the flights
	@$(PYTEST) -m long tests/template

long: dev           ## what takes long: new projects, thirty kills at random moments, more of a kind that `test` has
	@KILLS=30 $(PYTEST) -m long

new: dev            ## a new project, from this template, beside this folder
	@.venv/bin/cookiecutter . -o ..

lock:               ## pin what pyproject.toml asks for; pins that still fit stay (needs uv)
	@requirements/lock.sh

setup:
	@./setup.sh run

dev:
	@./setup.sh dev
