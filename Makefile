# Lastgasp: what there is to do here.  `make` alone lists it.

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

unexport PYTHONDONTWRITEBYTECODE  # tests start Python hundreds of times

.DEFAULT_GOAL := help
.PHONY: help install run services check test soak test-containers bench plots lint unit peers clean

help:  ## list these
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 18

install: .venv/.installed  ## make .venv with all extras

.venv/.installed: pyproject.toml scripts/install.sh
	@scripts/install.sh

run: install  ## the whole thing with a simulated city: a board in this terminal, Ctrl-C ends it
	@$(BIN)/lastgasp up --demo $(ARGS)

services:  ## install the peers that tests want: as root on Debian, else say what is missing
	@scripts/services.sh

check: install  ## before every commit: style, types, imports, the fast tests; under 2 minutes
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint unit

test: check peers  ## everything that this machine can run; says what it left out

soak: install  ## the tests that take many minutes
	$(PYTEST) -m soak --timeout=3600 $(ARGS)

test-containers: install  ## docker-compose.yml in real containers (podman; root on Debian), with kills
	@scripts/containers.sh install
	@scripts/containers.sh images
	$(PYTEST) tests/containers -m soak -v --timeout=1800 $(ARGS)

bench: install  ## all benchmarks, one line of JSON each
	$(BIN)/python -m bench all

FAULTS := 20
SEED := 95000
NETWORKS := city:4000:1 simbench:1-MVLV-rural-all-0-sw build/mv_oberrhein.json
GRID := p0.1 r0.1 terminals scada,p0.3 r0.1 terminals scada,p0.5 r0.1 terminals scada,p0.9 r0.1 terminals scada,p0.1 r0,p0.3 r0,p0.5 r0,p0.9 r0

plots: install  ## play the scoreboard, draw it into docs/pictures, print its table; three minutes on two idle cores
	$(BIN)/pip install -q -e '.[plots]'
	@mkdir -p build
	$(BIN)/python -c "import pandapower as pp, pandapower.networks as nets; pp.to_json(nets.mv_oberrhein(), 'build/mv_oberrhein.json')"
	$(BIN)/lastgasp evaluate $(NETWORKS) --cells "$(GRID)" --faults $(FAULTS) --seed $(SEED) --json > build/scoreboard.jsonl
	$(BIN)/python scripts/plots.py build/scoreboard.jsonl docs/pictures

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: install
	$(PYTEST) -q -m "not services and not soak" -n 2 --cov --cov-report= $(ARGS)
	# compiled loops are not seen by coverage: those that test them run once more, as plain Python
	NUMBA_DISABLE_JIT=1 $(PYTEST) -q -m loops tests/detectors --cov --cov-append --cov-report=
	$(BIN)/python scripts/branch_floor.py

peers: install
	$(PYTEST) -q -m "services and not soak" -n 2 --durations=15 --ignore=tests/pages $(ARGS)
	$(PYTEST) -q -m "services and not soak" tests/pages  # a browser of their own, in one process

clean:  ## remove what can be made again: .venv, build, caches
	rm -rf --one-file-system .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
