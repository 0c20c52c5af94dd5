# Two commands on a fresh machine: `make demo` and `make test`. Both need Python 3.11 or newer with venv, and make.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 10180
# The oldest aiohttp that pyproject.toml allows: its inside is touched, so the tests of the wire run on it too.
OLDEST := tests/core/aiohttp-oldest.txt
# Debian has Prometheus 2. `make prometheus` builds 3, without the discovery of clouds' machines that nobody asks for here.
PROMETHEUS := 3.16.0
PROMETHEUS_MODULES := $(patsubst %,github.com/prometheus/prometheus/cmd/%@v0.316.0,prometheus promtool)
# The newest whose module Go installs without a checkout: later ones replace modules of others.
LIVEKIT := github.com/livekit/livekit-server/cmd/server@v1.9.11
# Where the tests look for them, so that another `prometheus` stays the first in PATH.
PEERS := .peers

.DEFAULT_GOAL := help
.PHONY: help demo test lint types floors tests format docs bench nightly mutants prometheus livekit dist deb lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.runtime ## Run the exporter on simulated clouds (PORT=10180)
	@$(BIN)/stream-exporter demo --web.listen-address :$(PORT)

# The first four are run two at a time; what each says is shown when it ends, where make can do that.
test: ## Run every check that CI runs
	@$(MAKE) --no-print-directory --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) types lint floors $(VENV)/.compiled
	@$(MAKE) --no-print-directory tests

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/yamllint -s .
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml exporter
	$(BIN)/zizmor --offline --no-progress --quiet .github
	@if command -v actionlint >/dev/null; then actionlint; else echo "WITHOUT actionlint, which is not installed" >&2; fi

types: $(VENV)/.development
	$(BIN)/mypy

floors: $(VENV)/.development
	$(BIN)/lint-imports

# On a fresh machine, beside mypy: each worker would compile all tests anew, since they begin together.
$(VENV)/.compiled: export PYTHONDONTWRITEBYTECODE :=
$(VENV)/.compiled: | $(VENV)/.development
	@! $(BIN)/pytest --quiet --collect-only >/dev/null || touch $@

# The tests of what decides: they have to reach 97 % of its branches (see pyproject.toml).
DECIDES := $(addprefix tests/core/test_,board.py document.py figures.py flow.py limits.py model.py origins.py planner.py \
  prober.py quota.py rounds.py routes.py schedules.py shards.py slots.py waiting.py) \
  tests/test_config_http.py tests/test_catalogue.py tests/credentials tests/signing \
  $(addprefix tests/providers/test_,contract.py details.py exchanges.py forms.py helpers.py) \
  $(addprefix tests/callbacks/test_,covered.py receiver.py volcengine_live.py) \
  $(addprefix tests/playback/test_,flv.py hls.py hops.py missed.py signing.py state.py steps.py urls.py)
# What measures goes alone, after the rest; but what counts only its own memory and time may have a neighbour that waits.
MEASURES := $(addprefix benchmarks/tests/test_,soak.py expensive_answers.py)
ALONE := $(addprefix benchmarks/tests/test_,flood.py hostile_clients.py)
# Real servers wait most of the time, so there are four files at a time. Those that take longest begin, in this order:
# by itself, xdist keeps files of few tests for last. Behind those of one or two tests it queues the next ones at once:
# short ones.
LONGEST := $(addprefix tests/,$(addprefix peers/test_,replicas_membership.py replicas_store.py end_to_end.py) \
  reliability/test_lifecycle.py $(addprefix peers/test_,sdk_huawei.py replicas_clocks.py sdk_tencent.py playback_media.py) \
  $(addprefix reliability/test_,blocked.py proxies.py reload_under_load.py signals.py) \
  $(addprefix peers/test_,prometheus.py page_chromium.py page_phone.py) reliability/test_stray_answers.py)
REAL := $(LONGEST) $(filter-out $(LONGEST) $(ALONE) %/test_secrets.py %/test_breaker_trial.py,\
  $(wildcard tests/peers/test_*.py tests/reliability/test_*.py))
# All others; first those that take longest, a file that waits besides one that computes.
FIRST := tests/reliability/test_secrets.py tests/deploy/test_scenarios.py tests/providers/test_hiding.py \
  tests/core/test_aiohttp_versions.py tests/deploy/test_packages.py benchmarks/tests/test_fault_campaign.py \
  $(addprefix tests/grafana/test_,demo_dashboards.py live.py) tests/hostile/test_answers.py tests/deploy/test_helm.py
REST = $(FIRST) $(filter-out $(FIRST) $(REAL) $(MEASURES) $(ALONE) $(DECIDES) $(DECIDES:=/%),\
  $(sort $(shell find tests benchmarks/tests -name 'test_*.py')))

# Without what Python keeps of compiled modules, each worker and each program that a test starts compiles all of them.
tests: export PYTHONDONTWRITEBYTECODE :=
tests: $(VENV)/.development
	PYTHONHASHSEED=0 $(BIN)/pytest --quiet --numprocesses 3 --dist loadfile --cov --cov-config pyproject.toml $(DECIDES)
	PYTHONHASHSEED=0 $(BIN)/pytest --quiet --numprocesses 3 --dist loadfile --no-loadscope-reorder $(REST)
	PYTHONHASHSEED=0 $(BIN)/pytest --quiet --numprocesses 4 --dist loadfile --no-loadscope-reorder $(REAL)
	$(BIN)/pytest --quiet --numprocesses 2 --dist loadfile --no-loadscope-reorder $(MEASURES)
	$(BIN)/pytest $(ALONE)

format: $(VENV)/.development ## Format and sort
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.development ## Write the generated documents and dashboards anew
	$(BIN)/python -m docs.generate

bench: $(VENV)/.development ## Print the table of benchmarks
	$(BIN)/python -m benchmarks

nightly: $(VENV)/.development ## Hostile answers by the hundred thousand
	HYPOTHESIS_PROFILE=nightly $(BIN)/pytest --timeout 0 tests/hostile

# ONLY='exporter.rounds.plan*' takes the mutants of one module; `.venv/bin/mutmut show NAME` prints one of them.
mutants: $(VENV)/.development ## Change what decides, line by line, and list what no test notices (ONLY='exporter.rounds.pace*')
	$(BIN)/mutmut run --max-children 1 $(if $(ONLY),'$(ONLY)')
	@$(BIN)/mutmut results | grep -v 'not checked' || echo 'nothing that ran survived'

prometheus: ## Build Prometheus 3 and its promtool for the tests (needs Go 1.26)
	GOBIN=$(CURDIR)/$(PEERS) CGO_ENABLED=0 go install -tags remove_all_sd \
	  -ldflags '-s -X github.com/prometheus/common/version.Version=$(PROMETHEUS)' $(PROMETHEUS_MODULES)

livekit: ## Build a LiveKit server for the tests (needs Go 1.24)
	GOBIN=$(CURDIR)/$(PEERS)/livekit CGO_ENABLED=0 go install -ldflags '-s -w' $(LIVEKIT)
	mv $(PEERS)/livekit/server $(PEERS)/livekit-server && rmdir $(PEERS)/livekit

dist: $(VENV)/.development ## Build wheel, sdist and chart into dist/
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	$(BIN)/python -c 'import helm_python; print(helm_python.package("deploy/helm/stream-exporter", destination="dist"))'

deb: dist ## Build the .deb for this distribution into dist/
	$(BIN)/python deploy/debian/build.py dist/*.whl

# The marks .runtime and .development say that an environment is whole. Without one it is what an interruption left, and
# is made anew. Where there is flock, a second make waits for the first, whose environment it would take away otherwise.
define begin
set -e; exec 9<$(firstword $(MAKEFILE_LIST)); ! command -v flock >/dev/null || flock -n 9 || { echo "waiting for another make"; flock 9; } || :; \
test -n "$(PYTHON)" || { echo "stream-exporter needs Python 3.11 or newer; none was found" >&2; exit 1; }; \
echo "installing stream-exporter$(1) into $(VENV) ..."; \
whole=$$(ls $(VENV)/.runtime 2>/dev/null || :); rm -f $(VENV)/.development $(VENV)/.runtime; \
if [ -z "$$whole" ]; then \
  rm -rf $(VENV); $(PYTHON) -m venv $(VENV); $(BIN)/pip install --quiet --upgrade 'pip>=25.1'; \
fi
endef

$(VENV)/.runtime: pyproject.toml
	@$(call begin); \
	$(BIN)/pip install --quiet --editable .; \
	touch $(VENV)/.runtime

$(VENV)/.development: requirements.lock pyproject.toml $(OLDEST)
	@$(call begin, and its checks); \
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock; \
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .; \
	$(BIN)/pip install --quiet --no-deps --require-hashes --upgrade --target $(VENV)/aiohttp-oldest --requirement $(OLDEST); \
	touch $(VENV)/.runtime $(VENV)/.development

lock: $(VENV)/.development ## Resolve all dependencies anew into requirements.lock and the image's requirements.txt
	$(BIN)/uv pip compile pyproject.toml --group dev --group peers --universal --python-version 3.11 --quiet \
	  --generate-hashes --no-annotate --upgrade --custom-compile-command "make lock" -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra redis --extra uvloop --universal --python-version 3.11 --quiet \
	  --generate-hashes --no-annotate --upgrade --custom-compile-command "make lock" -o deploy/docker/requirements.txt
	sed -n 's/.*"aiohttp>=\([0-9.]*\),.*/aiohttp==\1/p' pyproject.toml | $(BIN)/uv pip compile - --no-deps --universal \
	  --python-version 3.11 --quiet --generate-hashes --no-annotate --no-header -o $(OLDEST)

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants dist build
