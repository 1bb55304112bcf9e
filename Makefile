# template: begin infra
.PHONY: stack
# template: end infra
# template: begin template-only
.PHONY: bench bakes gpu new
# template: end template-only
.PHONY: run up update unit test check format lock setup dev
EVERGREEN := .venv/bin/evergreen
PYTEST := PYTHONDONTWRITEBYTECODE= .venv/bin/pytest -q
TESTS := not gpu
# template: begin template-only
TESTS := not gpu and not long
# template: end template-only

run: setup          ## the main job: from raw flights to a champion model
	@$(EVERGREEN) run

up: setup           ## it runs by itself: pages, schedules, triggers, a worker, until Ctrl-C
	@$(EVERGREEN) up

# template: begin infra
stack: infra/.env   ## the same in containers, on PostgreSQL, until `docker compose -f infra/compose.yaml down`
	@mkdir -p stores/artifacts
	@docker compose -f infra/compose.yaml up --build --detach --wait
	@. infra/.env && echo "Prefect http://127.0.0.1:$${PREFECT_PORT:-4200}, MLflow http://127.0.0.1:$${MLFLOW_PORT:-5000}: the login is in infra/.env"

infra/.env:
	@umask 077 && python3 -c 'import os, secrets; \
	    [print(f"{one}={secrets.token_hex(24)}") for one in ("DATABASE_PASSWORD", "LOGIN_PASSWORD", "SESSION_KEY")]; \
	    here = os.stat("."); print(f"USER_ID={here.st_uid}\nGROUP_ID={here.st_gid}")' > $@.part && mv $@.part $@

# template: end infra
update: setup       ## merge what is new in the template this project was made from
	@$(EVERGREEN) update

unit: dev           ## the quick tests
	@$(PYTEST) -n 2 --dist loadfile -m "not slow and not gpu"

# template: begin template-only
# `make test` leaves out `make bakes` as well.
# template: end template-only
test: dev           ## all tests but those of `make gpu`
	@$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder -m "$(TESTS)"

# template: begin template-only
gpu: dev            ## what needs an NVIDIA GPU
	@$(PYTEST) -m gpu

# template: end template-only
check: dev          ## format, lint, types, import contracts
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

format: dev         ## write the format that `check` asks for
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

# template: begin template-only
bench: dev          ## what is said about speed, measured side by side
	@.venv/bin/python -m benchmarks.main_job

bakes: dev          ## two new projects pass all their own tests, an hour
	@$(PYTEST) -m long

new: dev            ## a new project, from this template, beside this folder
	@.venv/bin/cookiecutter . -o ..

# template: end template-only
lock:               ## pin what pyproject.toml asks for; pins that still fit stay (needs uv)
	@requirements/lock.sh

setup:
	@./setup.sh run

dev:
	@./setup.sh dev
