# Every target does its own set-up: a fresh machine needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SCAN := $(VENV)/scan
ARGS ?=
# Test processes, each with a Kafka of its own, of half a gigabyte. They wait half of their time.
JOBS ?= 3
DATA ?=
FAULTS ?= 500
EVENTS ?= 1000000
SEED ?=
MINUTES ?= 10
BROKERS ?= 1
PEER ?=

# A set of locked requirements is installed once; the stamp file names the installed set.
# $(1): the environment's folder; $(2): the set.
define install
	@test -x $(1)/bin/python || { echo "Making $(1) …"; $(PYTHON) -c 'import sys; \
	  sys.exit("Python 3.11 or newer is needed, this is %d.%d; try: make PYTHON=python3.12" \
	  % sys.version_info[:2] if sys.version_info < (3, 11) else 0)' && $(PYTHON) -m venv $(1); }
	@echo "Installing from requirements/$(2).txt …"
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(2).txt \
	  || { echo "Installing failed, see above. It needs the network once, and about 2 GB of disk."; exit 1; }
endef

define install-with-ours
	$(call install,$(VENV),$(1))
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
endef

.PHONY: help demo test check lint secrets audit format bench chaos train docs lock clean fuzz late outage soak \
  style types imports generated
.DEFAULT_GOAL := help

help: ## Show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | \
	  while IFS='|' read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done
	@echo 'Options for a command: make demo ARGS="--rate 200"'

$(VENV)/.demo: requirements/demo.txt pyproject.toml
	$(call install-with-ours,demo)

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	$(call install-with-ours,dev)
	@touch $(VENV)/.demo

# Scanners get an environment of their own, since they need other versions of libraries.
$(VENV)/.scan: requirements/scan.txt
	$(call install,$(SCAN),scan)
	@touch $@

demo: $(VENV)/.demo ## Kafka, registry, worker, page and traffic on this machine; Ctrl-C ends it
	@$(BIN)/sentiment demo $(ARGS)

test: $(VENV)/.dev ## All tests: unit, integration on a real Kafka, the page in a real Chromium
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

# Two processes: these tests wait for little, and each process imports all that is tested.
check: lint ## What a commit needs: lint, and the unit tests
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/unit

# None of them needs another's outcome, so that two run at a time.
lint: $(VENV)/.dev $(VENV)/.scan ## Style, types, architecture, generated files, secrets
	@$(MAKE) --no-print-directory -j 2 types secrets generated style imports

style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

generated:
	$(BIN)/python -m tools.docs --check

# A false positive is marked at its line: `# pragma: allowlist secret`. The two excluded files are generated,
# and the hashes of locked requirements are none.
# The first command fails without git, since then there are no files to list.
secrets: $(VENV)/.scan ## Nothing in the tree, committed or new, looks like a password or a key
	@git ls-files --error-unmatch Makefile >/dev/null
	@git ls-files -z --cached --others --exclude-standard | xargs -0 -n 100 -P 2 $(SCAN)/bin/detect-secrets-hook \
	  --exclude-lines ' --hash=sha256:[0-9a-f]{64}' \
	  --exclude-files '^(helm/sentiment-stream/README\.md|sentiment/bundled/evaluation/report\.json)$$'

audit: $(VENV)/.scan ## Known vulnerabilities of installed packages; it needs an advisory service
	@$(SCAN)/bin/python -m tools.audit $(ARGS)

format: $(VENV)/.dev ## Format the code and apply automatic fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Measure against the copy loop and the peers, in one run
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(VENV)/.dev ## Faults under load, then every event checked: make chaos FAULTS=60 EVENTS=60000 SEED=1
	@$(BIN)/python -m tests.chaos --faults $(FAULTS) --events $(EVENTS) \
	  $(if $(SEED),--seed $(SEED)) $(if $(PEER),--peer $(PEER)) $(ARGS)

late: $(VENV)/.dev ## A thousand requests to end a transaction that arrive late, then every event checked
	@$(BIN)/python -m tests.chaos --only end-of-transaction-late --faults 220 --events 220000 --every 2.5 \
	  $(if $(SEED),--seed $(SEED)) $(ARGS)

outage: $(VENV)/.dev ## All brokers down: make outage MINUTES=10 BROKERS=3; everything waits, and continues
	@$(BIN)/python -m tests.chaos.outage --minutes $(MINUTES) --brokers $(BROKERS) $(ARGS)

fuzz: $(VENV)/.dev ## Fuzzing of bytes, requests, models and batches, ten minutes each
	@$(BIN)/python -m tests.fuzz $(ARGS)
	@$(BIN)/python -m tests.fuzz.models $(ARGS)
	@$(BIN)/python -m tests.fuzz.page $(ARGS)
	@seed=$${FUZZ_SEED:-$$(date +%s)}; echo "FUZZ_SEED=$$seed"; FUZZ_SEED=$$seed FUZZ_ROUNDS=$${FUZZ_ROUNDS:-10000} \
	  $(BIN)/python -m pytest -q tests/integration/test_fuzzed_records.py

soak: $(VENV)/.dev ## A worker at half of its full rate for an hour; its memory, threads and files may not grow
	@$(BIN)/python -m benchmarks.soak $(ARGS)

train: $(VENV)/.dev ## From texts to a registered model: make train DATA=FOLDER (docs/model.md)
	@$(BIN)/python -m tools.corpora
	@$(BIN)/python -m trainer.pipeline $(if $(DATA),"$(DATA)")

docs: $(VENV)/.dev ## Write the generated documents
	@$(BIN)/python -m tools.docs

lock: ## Resolve the dependencies again, with hashes
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet uv
	@sh requirements/lock.sh $(BIN)/uv

clean: ## Remove the environment and the tools' caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
