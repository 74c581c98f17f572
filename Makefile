# The two commands are `make demo` and `make test`; both set up what they need in .venv and with apt.

# Debian's own Python is built to be fast; one that was built by hand beside it often is not.
FITS := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell /usr/bin/python3 $(FITS) 2>/dev/null && echo /usr/bin/python3 || echo python3)
export PYTHON
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
N ?= 20

.PHONY: help demo terminal test lint kill powerloss fuzz model bench flood format lock clean

help: ## tell what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(READY) ## play a conversation through a pretended carrier and a real Prosody (ONCE=1: and exit)
	$(BIN)/smsbridge demo $(if $(ONCE),--once) $(ARGS)

terminal: $(READY) ## a person with a real client, profanity in tmux: reads, answers, sees the tick; prints what is to be seen
	$(BIN)/python -m pytest tests/live/test_terminal_client.py
	@cat build/terminal.txt

# Programs of tests, four at a time, the longest first: most of them wait for servers more than they compute. The rooms
# whose coverage counts are not measured by tests that need a whole house.
EARLY := $(wildcard tests/bridge/test_[a-g]*.py)
PLAYS := $(wildcard tests/scenarios/test_*.py)
FIRST := $(wildcard tests/scenarios/test_a_*.py)
LAST := $(wildcard tests/scenarios/test_[r-z]*.py)
KILLS := tests/live/test_kill.py tests/live/test_safekeeping.py
SUITES := $(addprefix suite-,bridge-late plays-first live kills bridge-early others plays plays-last store)
suite-bridge-early: TESTS := $(EARLY) tests/core --cov
suite-bridge-late: TESTS := tests/bridge $(EARLY:%=--ignore=%) --cov
suite-live: TESTS := tests/live tests/bench $(KILLS:%=--ignore=%)
suite-kills: TESTS := $(KILLS)
suite-plays-first: TESTS := $(FIRST)
suite-plays-last: TESTS := $(LAST)
suite-plays: TESTS := $(filter-out $(FIRST) $(LAST),$(PLAYS))
suite-others: TESTS := $(addprefix --ignore=tests/,bridge core live bench scenarios store) --cov
suite-store: TESTS := tests/store --cov

test: $(READY) lint ## everything: style, types, imports, tests with live servers, coverage
	rm -rf build/coverage
	@echo "The tests run as $(words $(SUITES)) programs; each is shown when it has ended."
	@$(MAKE) --no-print-directory --keep-going --jobs=4 --output-sync $(SUITES)
	$(BIN)/coverage combine --quiet build/coverage/*
	$(BIN)/coverage report --fail-under=95

.PHONY: $(SUITES)
$(SUITES): $(READY)
	@echo "$@:" && mkdir -p build/coverage
	@COVERAGE_FILE=build/coverage/$@ $(BIN)/python -m pytest --cov-report= $(TESTS)

lint: $(READY) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

kill: $(READY) ## N deaths of bridge, XMPP server and database, with a bad carrier; prints ledgers, writes build/ledger.json
	$(BIN)/python -m tests.bench.kill --kills $(N)

powerloss: $(READY) ## N (1000) states in which a disk may come back after a power loss, sampled from a trace of SQLite's files
	$(BIN)/python -m tests.bench.powerloss --states $(if $(filter file,$(origin N)),1000,$(N))

# atheris is for this alone: it has a lock of its own.
fuzz: $(READY) tests/fuzz.lock ## SECONDS (600) of fuzzing, shared by every parser of outside bytes; finds are kept in build/fuzz/
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/fuzz.lock
	$(BIN)/python -m tests.fuzz.run --seconds $(or $(SECONDS),600)

model: $(READY) ## STEPS (100000) of the life of texts at random, whatever happens in whatever order, held to the promises
	MODEL_STEPS=$(or $(STEPS),100000) $(BIN)/python -m pytest tests/bridge/test_model.py --show-capture=no

bench: $(READY) ## throughput, latency, CPU and memory beside the bare limits of this machine; writes build/bench.json
	$(BIN)/python -m tests.bench.run

flood: $(READY) ## slow sockets, wrong keys and huge bodies at the door, and a carrier that must come through
	$(BIN)/python -m tests.bench.flood

format: $(READY) ## put the source in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What the hashes pin: change pyproject.toml, then this, then look at the difference. Lines that begin with -- are this
# machine's own addresses, and stay here.
COMPILE := pip-compile -q --generate-hashes --no-header --allow-unsafe --strip-extras
lock: ## pin the dependencies anew, with hashes and without addresses (needs pip-tools)
	$(COMPILE) -o requirements.lock pyproject.toml
	$(COMPILE) --extra dev -c requirements.lock -o tests/requirements.lock pyproject.toml
	sed -i -e '/^--/d' -e '/./,$$!d' requirements.lock tests/requirements.lock

$(READY): requirements.lock tests/requirements.lock pyproject.toml contrib/dev/setup.sh
	sh contrib/dev/setup.sh
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean: ## remove what was made
	rm -rf $(VENV) build *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
