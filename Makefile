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

# The plays, the tests with live servers and those of the store mostly wait: in two halves, which take as long as all
# others, they run beside those, and tell what they found at the end.
PYTEST := $(BIN)/python -X dev -m pytest --cov --cov-report=
LATE := $(wildcard tests/scenarios/test_[s-z]*.py)
PLAYS := $(filter-out $(LATE),$(wildcard tests/scenarios/test_*.py)) tests/store
LIVE := tests/live tests/bench $(LATE)
WAITING := tests/scenarios tests/live tests/bench tests/store

test: $(READY) lint ## everything: style, types, imports, tests with live servers, coverage
	rm -rf build/coverage .coverage && mkdir -p build/coverage
	@COVERAGE_FILE=build/coverage/plays $(PYTEST) $(PLAYS) >build/plays.log 2>&1 & plays=$$!; \
	COVERAGE_FILE=build/coverage/live $(PYTEST) $(LIVE) >build/live.log 2>&1 & live=$$!; \
	COVERAGE_FILE=build/coverage/others $(PYTEST) $(WAITING:%=--ignore=%); others=$$?; \
	wait $$plays; plays=$$?; cat build/plays.log; wait $$live; live=$$?; cat build/live.log; \
	exit $$((others + plays + live))
	$(BIN)/coverage combine --quiet $(addprefix build/coverage/,plays live others)
	$(BIN)/coverage report --fail-under=95 --include='smsbridge/core/*,smsbridge/store/*,smsbridge/bridge/*'

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
