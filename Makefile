# The front door. `make` alone prints what one can do.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
DEVCLUSTER := $(PYTHON) -m tests.devcluster
# A process for each core, up to four: each holds torch, half a gigabyte.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist worksteal

# Where a machine sets it, every process of a test would compile torch and all else anew: seconds of each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup packages lint format test test-fast demo demo-down cluster cluster-down images generate

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## make .venv from the lock file

.venv/.installed: pyproject.toml uv.lock
	uv=$$(tests/install_uv.sh) && "$$uv" sync --frozen --all-extras
	@touch $@

generate: setup ## write crds/*.yaml, the chart's copies and docs/api.md from the models
	$(PYTHON) -m longtail_api.crdgen

format: setup ## format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lint: setup ## style, types, layers, generated files, chart
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/pyright
	.venv/bin/lint-imports
	$(PYTHON) -m longtail_api.crdgen --check
	$(PYTHON) -m tests.helm_lint

test-fast: setup ## tests that need neither a server nor minutes
	.venv/bin/pytest -q $(PARALLEL) -m "not cluster and not api and not s3 and not slow"

test: setup ## every test; brings the cluster up, and down again where it was not running
	$(PYTHON) -m tests.run_all

cluster: setup ## a real single-node Kubernetes with Longtail's images, or check the one KUBECONFIG names
	$(DEVCLUSTER) up
	$(DEVCLUSTER) images

cluster-down: setup ## end that cluster and remove what it made of itself
	$(DEVCLUSTER) down

demo: setup ## the main job from kubectl apply to a served light model: make demo [DATA=folder of the OULAD files]
	$(PYTHON) -m tests.demo $(if $(DATA),--data $(DATA)) $(if $(JSON),--json $(JSON))

demo-down: setup ## remove what the demo made in the cluster
	$(PYTHON) -m tests.demo --down
