# What can be done here; each target sets up what it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN = .venv/bin
ARGS ?=

help:     ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

serve: .venv/serve   ## set up, migrate and serve on http://127.0.0.1:8080/fhir (ARGS="--port 8090 --database …")
	$(BIN)/fhirsub serve $(ARGS)

worker: .venv/serve  ## a matcher and a dispatcher beside web processes (ARGS="--database …")
	$(BIN)/fhirsub worker $(ARGS)

migrate: .venv/serve ## bring the database to this version's tables (ARGS="--database …")
	$(BIN)/fhirsub migrate $(ARGS)

test: .venv/test     ## all tests, on SQLite and PostgreSQL (ARGS="-k matcher")
	$(BIN)/python -m pytest $(ARGS)

chaos: .venv/test    ## break servers in many ways; print what was lost or duplicated (ARGS="-k postgresql_stops")
	$(BIN)/python -m pytest tests/chaos -m "" $(ARGS)

bench: .venv/test    ## print rates, latencies and costs: writing, notifying, searching, topics, sockets, delivery
	$(BIN)/python tests/bench/notifying.py
	$(BIN)/python tests/bench/searching.py
	$(BIN)/python tests/bench/topics.py
	$(BIN)/python tests/bench/sockets.py
	$(BIN)/python tests/bench/delivery.py

bench-million: .venv/test   ## what a write costs with 1,000 to 1,000,000 Subscriptions, on either database (ARGS="1000 10000")
	$(BIN)/python tests/bench/million.py $(ARGS)

demo: .venv/serve    ## the 2019 connectathon's scenarios, then event streams, each against a server of its own
	$(BIN)/python examples/connectathon.py $(ARGS)
	$(BIN)/python examples/adt_streams.py $(ARGS)

lock:                ## pin every dependency of setup.cfg with its hashes
	$(PYTHON) -m venv .venv && $(BIN)/pip install -q pip-tools
	$(BIN)/pip-compile -q $(LOCK) -o requirements.lock setup.cfg
	$(BIN)/pip-compile -q $(LOCK) --extra test -c requirements.lock -o requirements-test.lock setup.cfg

clean:               ## remove the environment and what was built
	rm -rf .venv build *.egg-info

LOCK = --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header

.venv/serve: requirements.lock setup.cfg
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/test: .venv/serve requirements-test.lock
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-test.lock
	touch $@

.PHONY: help serve worker migrate test chaos bench bench-million demo lock clean
