# amqpd: make run, make test. Both do all the set-up; they need python3 (3.11 or newer), a C
# compiler with Python's headers for the compiled build, and PyPI.
#
#   make run      build, and start the broker in the foreground on 127.0.0.1:5672
#   make test     ruff, mypy, style; then the suite, interpreted and compiled
#   make check    only ruff, mypy and the style test
#   make soak     the proofs at full length: simulated crashes, kill -9, fuzzing, 20,000 random
#                 scripts beside RabbitMQ; some hours
#   make bench    measure amqpd; AGAINST="amqp://..." compares it with other brokers, by turns
#   make differential  random scripts on amqpd and an installed RabbitMQ (COUNT=200)
#   make interop  real clients and named rules, against a fresh amqpd (or ASKED=amqp://...)
#   make clean    remove what the others made
#
# ARGS="..." is passed on: make run ARGS="--port 5673", make test ARGS="-k topic".

PYTHON ?= python3
PORT ?= 5672
URL ?= amqp://guest:guest@127.0.0.1:$(PORT)/
AGAINST ?=
ASKED ?= amqpd
COUNT ?= 200
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
SUITE := build/suite
SOURCES := $(shell find amqpd -name '*.py' -o -name '*.txt' | sort)

# What pyproject.toml lists under $(1), one requirement a line.
requirements = $(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))$(1), sep="\n")'

.PHONY: run test check soak bench differential interop clean build FORCE

run: build
	@exec $(BIN)/amqpd serve --bind 127.0.0.1 --port $(PORT) $(ARGS)

build: $(VENV)/.built

# pip is kept quiet, setup.py's notes are not: they say when nothing could be compiled.
$(VENV)/.built: $(VENV)/.ready $(SOURCES) setup.py
	@rm -rf build/lib* build/bdist* amqpd.egg-info
	@mkdir -p build
	@echo "building amqpd (compiled by mypyc, about a minute)"
	@$(BIN)/python -m pip install -v --no-deps --no-build-isolation . > build/install.log 2>&1 \
		|| { tail -n 40 build/install.log; exit 1; }
	@sed -n -e 's/^ *amqpd: /amqpd: /p' -e 's/^ *\(amqpd.*: error: \)/\1/p' build/install.log
	@$(BIN)/amqpd --version
	@echo '$(SOURCES)' > $(VENV)/.sources
	@touch $@

# A file that came or went changes no time stamp of another.
ifneq ($(SOURCES),$(file <$(VENV)/.sources))
$(VENV)/.built: FORCE
endif
FORCE:

$(VENV)/.ready: pyproject.toml
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) > /dev/null || { rm -rf $(VENV); \
		echo "amqpd: $(PYTHON) -m venv does not work here"; \
		echo "amqpd: on Debian: apt install python3-venv python3-dev"; exit 1; }
	@echo "installing what amqpd needs into $(VENV)"
	@$(call requirements,["build-system"]["requires"]) > $(VENV)/requires.txt
	@$(call requirements,["project"]["dependencies"]) >> $(VENV)/requires.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r $(VENV)/requires.txt
	@touch $@

$(VENV)/.test: $(VENV)/.ready
	@echo "installing what the tests need into $(VENV)"
	@$(call requirements,["project"]["optional-dependencies"]["test"]) > $(VENV)/requires-test.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r $(VENV)/requires-test.txt
	@touch $@

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_style.py

# The suite knows which build it must meet: conftest.py stops it at any other. The interpreted run
# imports amqpd from here; the compiled one runs where there is no amqpd but the installed one.
test: export AMQPD_REQUIRE_COMPILED = 1
test: check build
	AMQPD_EXPECT_BUILD=interpreted $(BIN)/python -m pytest -q $(ARGS)
	@rm -rf $(SUITE) && mkdir -p $(SUITE)
	@cp -R tests interop conf conftest.py pyproject.toml $(wildcard README.md) $(SUITE)
	cd $(SUITE) && AMQPD_EXPECT_BUILD=compiled $(CURDIR)/$(BIN)/python -m pytest -q $(ARGS)

# Each line says with which seed a failure can be replayed alone.
soak: $(VENV)/.test build
	$(BIN)/python -m pytest -q tests/store/test_crash.py --crash-seeds 30000
	$(BIN)/python -m pytest -q tests/crash --crash-rounds 300
	$(BIN)/python -m pytest -q tests/sim tests/scenarios --distance sim --sim-seeds 200
	$(BIN)/python -m pytest -q tests/fuzz --fuzz-seconds 1800
	$(BIN)/python -m interop differential --url amqpd --count 20000

bench: build
	@PYTHONSAFEPATH=1 $(BIN)/amqpd perf table $(foreach url,$(AGAINST),--url $(url)) $(ARGS)
	@PYTHONSAFEPATH=1 $(BIN)/amqpd perf store

differential: build
	@$(BIN)/python -m interop differential --url amqpd --count $(COUNT) $(ARGS)

interop: build
	-@$(BIN)/python -m interop install
	@$(BIN)/python -m interop --url $(ASKED) $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .interop
	find amqpd tests interop -name __pycache__ -prune -exec rm -rf {} +
