# Indicia. Two commands do it all: `make run` (the sandbox) and `make test` (everything).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)

.PHONY: run setup test check prove prove-abuse prove-faults prove-privacy prove-collector prove-durability fuzz format clean

run: setup            ## start the sandbox: relay 2525, collector 8025, console 8026
	$(BIN)/indicia serve

setup: $(VENV)/.ready ## the virtual environment, with everything in it

# Debian's python3 has no ensurepip and its pip is externally managed: `--without-pip`, then pip from outside.
$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Indicia needs Python 3.11 or later; name one: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check install --quiet "uv>=0.9"

$(VENV)/.ready: $(VENV)/bin/uv pyproject.toml uv.lock
	$(BIN)/uv sync --quiet --frozen --inexact --python $(BIN)/python
	@touch $@

check: setup          ## format, lint, types, import contracts, unit and golden tests; a minute on two cores
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n auto -m "not slow and not daemon and not crash and not corpus"

test: check           ## all tests; installs Postfix and Chromium where it is root, axe-core and oidc-provider by npm
	tests/install-daemons
	tests/install-axe $(VENV)
	tests/install-oidc-provider $(VENV)
	$(BIN)/pytest -q -n auto -m "corpus and not daemon and not crash"
	$(BIN)/pytest -q -n 3 --dist loadfile -m "(slow or daemon or crash) and not corpus and not alone"
	$(BIN)/pytest -q -m "alone"

PROVE := $(BIN)/pytest -s -q -m "slow or not slow"
prove: prove-abuse prove-faults prove-durability prove-collector ## the long forms of the tests, each a target of its own; hours

prove-abuse: setup    ## an attacker at the relay's door; SEED=2 draws anew
	STREAMS=1000000 SEED=$(SEED) $(PROVE) tests/abuse/test_smuggling.py
	TALKS=200000 SEED=$(SEED) $(PROVE) tests/abuse/test_injection.py
	GUESSES=10000 SAMPLES=400 $(PROVE) tests/abuse/test_sign_in.py
	INDICIA_GUESSES=10000 INDICIA_TIMING_SAMPLES=400 $(PROVE) -m slow tests/relay/accept
	SLOW_SECONDS=60 $(PROVE) tests/abuse/test_slow_clients.py
	SCALE=1 $(PROVE) tests/abuse/test_huge_mail.py

prove-faults: setup   ## an upstream with every fault; SEED=2 draws anew
	RECIPIENTS=20000 SEED=$(SEED) $(PROVE) tests/faults/test_faults.py
	BACKLOG=5000 SECONDS=30 $(PROVE) tests/faults/test_dead_upstream.py
	MAILS=10000 $(PROVE) tests/faults/test_reports_and_loops.py

prove-collector: setup ## forged links, how long pixels take, 500 kills, a ledger that is away; SEED=2 draws anew
	FORGERIES=1000000 SEED=$(SEED) $(PROVE) tests/collector/test_forgeries.py
	SAMPLES=100000 CLIENTS=8 $(PROVE) tests/collector/test_timing.py
	EXAMPLES=1000 SEED=$(SEED) $(PROVE) tests/collector/console/api/test_schemathesis.py
	TEXTS=500 $(PROVE) tests/daemons/test_hostile_texts.py
	$(BIN)/python -m tests.durability.hits 500 --seed $(SEED)
	$(BIN)/python -m tests.durability.webhooks 100000 200
	TEST_LEDGER_AWAY=60 $(PROVE) tests/durability/test_hits.py -k locked
	TEST_WORKER_KILLS=100 $(PROVE) tests/durability/test_workers.py -k killed

KILLS ?= 2000
SECONDS ?= 3600
prove-durability: setup ## kills (KILLS=2000 in SECONDS=3600, goes on where it ended), power loss, full disks, stops
	$(BIN)/python -m tests.durability.kills $(KILLS) --seconds $(SECONDS) --state var/durability/kills.json
	$(BIN)/python -m tests.durability.power 20000 --seed $(SEED)
	TEST_DISK_CYCLES=200 $(PROVE) tests/durability/test_disk.py
	TEST_STOPS=100 TEST_CLIENTS_GONE=1000 $(PROVE) tests/durability/test_stop.py

prove-privacy: setup  ## a thief of the disk, and one with a clock, guess who has or opened a mail; SEED=2 draws anew
	TRIALS=60 SEED=$(SEED) $(PROVE) tests/collector/test_anonymity.py
	SAMPLES=5000 $(PROVE) tests/collector/test_asking_time.py

TIME ?= 300
SEED ?= 1
fuzz: setup           ## mutated mail for TIME=300 seconds from SEED=1, then Atheris for as long; goes on where it ended
	$(BIN)/python tests/fuzz/run.py $(TIME) --seed $(SEED) --state var/fuzz
	-$(BIN)/uv sync --quiet --frozen --inexact --group fuzz
	$(BIN)/python tests/fuzz/guided.py $(TIME) --state var/fuzz

format: setup         ## let ruff write the layout
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:                ## remove what setup and the sandbox made
	rm -rf $(VENV) var
