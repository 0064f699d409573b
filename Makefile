# Every target does its own set-up: a fresh machine needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# Test processes, each with a Kafka of its own, of half a gigabyte. Half of their time is waiting.
JOBS ?= 3
DATA ?=
FAULTS ?= 500
EVENTS ?= 1000000
SEED ?=
PEER ?=

# A set of locked requirements is installed once; the stamp says which one the environment has.
define install
	@test -x $(BIN)/python || { echo "Making $(VENV) …"; $(PYTHON) -c 'import sys; \
	  sys.exit("Python 3.11 or newer is needed, this is %d.%d; try: make PYTHON=python3.12" \
	  % sys.version_info[:2] if sys.version_info < (3, 11) else 0)' && $(PYTHON) -m venv $(VENV); }
	@echo "Installing from requirements/$(1).txt …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(1).txt \
	  || { echo "Installing failed, see above. It needs the network once, and about 2 GB of disk."; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
endef

.PHONY: help demo test lint format bench chaos train docs lock clean fuzz soak
.DEFAULT_GOAL := help

help: ## Show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | \
	  while IFS='|' read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done
	@echo 'Options for a command: make demo ARGS="--rate 200"'

$(VENV)/.demo: requirements/demo.txt pyproject.toml
	$(call install,demo)

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	$(call install,dev)
	@touch $(VENV)/.demo

demo: $(VENV)/.demo ## Kafka, registry, worker, page and traffic on this machine; Ctrl-C ends it
	@$(BIN)/sentiment demo $(ARGS)

test: $(VENV)/.dev ## All tests: unit, integration on a real Kafka, the page in a real Chromium
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

lint: $(VENV)/.dev ## Style, types, architecture, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m sentiment.schemas --check
	$(BIN)/python -m sentiment.reference --check
	$(BIN)/python -m web.openapi --check
	$(BIN)/python -m sentiment.deploy --check
	$(BIN)/python -m observability.grafana --check

format: $(VENV)/.dev ## Format the code and mend what can be mended by rule
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Measure against the copy loop and the peers, in one run
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(VENV)/.dev ## Faults under load, then every event checked: make chaos FAULTS=60 EVENTS=60000 SEED=1
	@$(BIN)/python -m tests.chaos --faults $(FAULTS) --events $(EVENTS) \
	  $(if $(SEED),--seed $(SEED)) $(if $(PEER),--peer $(PEER)) $(ARGS)

fuzz: $(VENV)/.dev ## Ten minutes of search for bytes that the event decoder is wrong about
	@$(BIN)/python -m tests.fuzz $(ARGS)

soak: $(VENV)/.dev ## A worker at half of its full rate for an hour; nothing of it may grow
	@$(BIN)/python -m benchmarks.soak $(ARGS)

train: $(VENV)/.dev ## From texts to a registered model: make train DATA=FOLDER (docs/model.md)
	@$(BIN)/python -m trainer.fetch_corpora
	@$(BIN)/python -m trainer.pipeline $(if $(DATA),"$(DATA)")

docs: $(VENV)/.dev ## Write the generated documents anew
	$(BIN)/python -m sentiment.schemas
	$(BIN)/python -m sentiment.reference
	$(BIN)/python -m web.openapi
	$(BIN)/python -m sentiment.deploy
	$(BIN)/python -m observability.grafana

lock: ## Resolve the dependencies anew, with hashes
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet uv
	@sh requirements/lock.sh $(BIN)/uv

clean: ## Remove the environment and what the tools leave
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
