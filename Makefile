# Two commands matter to a newcomer: `make demo` and `make test`.
# A fresh machine needs python3 >= 3.11, make and git; the rest is installed here.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE_EXAMPLE := deploy/examples/node
APT := DEBIAN_FRONTEND=noninteractive apt-get
CONTAINERS := podman runc netavark aardvark-dns catatonit iptables mmdebstrap

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := all
.PHONY: all help venv cc engine lint types test containers format demo bench mutants schemas clean

all: lint types test ## lint, types and test: what a change must pass (bare `make`)

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/.installed ## the virtual environment, from the hashes of requirements.lock

# Debian splits venv off its python3; the one clear sentence is for whoever may not install it.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "registre needs Python 3.11 or later, and $(PYTHON) is older: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	       && $(APT) update -qq && $(APT) install -qq -y --no-install-recommends python3-venv; } \
	  || { echo "$(PYTHON) cannot make a virtual environment: install python3-venv, then run make again" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.locked: requirements.lock | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@touch $@

# Without isolation and without dependencies: nothing comes that the lock does not name.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The test of a power cut compiles a shim that drops unsynced writes.
cc:
	@command -v cc >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	       && $(APT) update -qq && $(APT) install -qq -y --no-install-recommends gcc libc6-dev; } \
	  || { echo "the power-cut test needs a C compiler: install gcc, then run make again" >&2; exit 1; }

# The example subscriber for Node runs in the tests, with the client that its lock names by hash.
$(NODE_EXAMPLE)/node_modules/.installed: $(NODE_EXAMPLE)/package-lock.json
	@command -v npm >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	       && $(APT) update -qq && $(APT) install -qq -y --no-install-recommends nodejs npm; } \
	  || { echo "the example for Node needs npm: install nodejs and npm, then run make again" >&2; exit 1; }
	cd $(NODE_EXAMPLE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Where the packages are Debian's, what podman needs beside itself comes with it.
engine:
	@dpkg --status $(CONTAINERS) >/dev/null 2>&1 \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	       && $(APT) update -qq && $(APT) install -qq -y --no-install-recommends $(CONTAINERS) >/dev/null; } \
	  || command -v podman >/dev/null \
	  || { echo "the containers are tried with podman: install it, then run make again" >&2; exit 1; }

lint: venv ## ruff: the rules, and the format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv ## mypy, strict
	$(BIN)/mypy

test: lint types cc $(NODE_EXAMPLE)/node_modules/.installed ## everything: lint, types and the whole suite (ARGS= for pytest)
	$(BIN)/pytest $(ARGS)

containers: venv engine ## the image and the whole set of deploy/, built, used, killed, taken down
	$(BIN)/python -m tests.containers

format: venv ## let ruff write the format and its safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: venv ## the five dossiers, live, until Ctrl-C (ONCE=1: print and stop)
	$(BIN)/registre demo $(if $(filter-out 0,$(ONCE)),--once)

bench: venv ## ratios to the raw limit of this machine, side by side
	$(BIN)/python -m benchmarks

# Anew each time: mutmut would keep what the tests of last time had found.
mutants: venv ## how many seeded faults of services/domain and eventstore the tests find
	rm -rf mutants
	$(BIN)/python -P tests/mutating.py run $(ARGS)
	$(BIN)/mutmut results --all true | $(BIN)/python -m tests.mutants

schemas: venv ## write the JSON Schemas and the AsyncAPI document anew
	$(BIN)/python -m contracts.generate

clean: ## remove what make and the runs left, the demo's data excepted
	rm -rf $(VENV) $(NODE_EXAMPLE)/node_modules mutants dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
