# Every target makes .venv first when it is missing or stale. Settings: .env.example.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
RUN := . ./$(VENV)/bin/activate &&

.PHONY: help setup demo up test lint soak bench lock

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ready ## make .venv with everything in it

$(VENV)/.ready: requirements.lock pyproject.toml
	@sh bin/setup $(VENV)

demo: setup ## simulate a quarter, ingest, build, print scorecard, alerts and drafts; again, it adds nothing
	@$(RUN) sh bin/demo $(ARGS)

up: setup ## warehouse, Dagster UI and daemon until Ctrl-C
	@$(RUN) exec marketing up

# Tests wait for servers half of the time: one process more than there are processors.
test: setup ## every test but the long ones
	@$(RUN) pytest -m "not soak" -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 5 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: setup ## the long proofs (kills, seeds, replays) at full counts
	@$(RUN) pytest -m soak $(ARGS)

lint: setup ## the form of Python and SQL
	@$(RUN) ruff check . && ruff format --check . && sqlfluff lint dbt_project

bench: setup ## the benchmarks; N=10000000 for that many touchpoints of history
	@$(RUN) python -m benchmarks $(if $(N),--touches $(N)) $(ARGS)

lock: ## compile requirements.lock from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --group dev --generate-hashes --universal --python-version 3.11 \
	    --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements.lock
