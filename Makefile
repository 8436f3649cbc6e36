# The daily commands; `make help` lists them. Everything is installed into .venv, nothing else on the machine is touched.
PYTHON ?= python3
PORT ?= 8282
BIN = .venv/bin
CLIENT = clients/python
SOURCES = setup.py dpresence bench packaging clients examples

# Where bytecode is not written, each of some hundred processes that the tests start compiles the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: scale help build wheel run test check check-js extension lint format settings texts api demo bench bench-client load growth clean conformance faults soak pages previous lock sbom audit newest

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

build: .venv/.built ## Create .venv with the project installed; does nothing when it is up to date

.venv/.built: setup.py | .venv/.created
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test,check]'
	@touch $@

.venv/.created:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check 'setuptools>=78.1.1,<82' wheel
	@touch $@

wheel: .venv/.created ## Build the wheels of the service and of the Python client in dist
	rm -rf build/lib build/bdist.*
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	rm -rf $(CLIENT)/build
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist ./$(CLIENT)

run: build ## Serve on http://127.0.0.1:8282 with the development issuer; PORT=9000 uses another port
ifeq ($(PORT),8282)
	$(BIN)/pserve development.ini
else
	sed 's/\b8282\b/$(PORT)/g' development.ini > .development-$(PORT).ini
	$(BIN)/pserve .development-$(PORT).ini
endif

test: build ## Run the tests
	$(BIN)/python -m pytest -n 6 --dist loadfile

check: build check-js ## Check format, lint, types, the Lua scripts and the files that are generated
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python packaging/settings/generate.py --check
	$(BIN)/python packaging/texts/catalogues.py --check
	$(BIN)/python packaging/api/documents.py --check
	@if [ "$(CI)" = true ]; then $(MAKE) -s audit sbom; fi
	@if command -v luacheck >/dev/null || [ -n "$$CI" ]; then luacheck --quiet dpresence/backends; \
	else echo "luacheck is not installed (Debian: lua-check): the Lua scripts are not checked"; fi

JS = packaging/js

check-js: ## Check types and lint of the JavaScript; needs Node and npm, without which it is skipped, but not in CI
	@if command -v node >/dev/null && command -v npm >/dev/null; then $(MAKE) -s $(JS)/node_modules/.built && npm --prefix $(JS) run --silent check; \
	elif [ "$(CI)" = true ]; then echo "Node and npm are missing"; exit 1; \
	else echo "JavaScript is not checked: Node and npm are missing"; fi

$(JS)/node_modules/.built: $(JS)/package.json $(JS)/package-lock.json
	npm --prefix $(JS) ci --loglevel=error
	@touch $@

extension: ## Build the extension for browsers in build/extension; SERVICE=url builds it for that service alone
	node clients/extension/scripts/build.mjs build/extension $(SERVICE)

# Programs for the image, apart from the project: they have many dependencies of their own
.venv-tools/.built:
	$(PYTHON) -m venv .venv-tools
	.venv-tools/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9' 'cyclonedx-bom>=7.5,<8' 'pip-audit>=2.10,<3'
	@touch $@

IMAGE = packaging/container
LOCK = .venv-tools/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

lock: .venv-tools/.built ## Pin the dependencies of the image, with hashes
	$(LOCK) --extra postgresql --extra redis --extra sentry setup.py --output-file $(IMAGE)/requirements.txt
	$(LOCK) $(IMAGE)/build.in --output-file $(IMAGE)/build.txt

sbom: .venv-tools/.built ## Write build/sbom.json, a CycloneDX list of what the image contains
	@mkdir -p build
	.venv-tools/bin/cyclonedx-py requirements --output-reproducible --output-file build/sbom.json $(IMAGE)/requirements.txt

audit: .venv-tools/.built ## Look up known vulnerabilities of what the image contains; says if they cannot be looked up
	@$(PYTHON) $(IMAGE)/audit.py .venv-tools/bin/pip-audit $(IMAGE)/requirements.txt

newest: ## Run the tests on the newest of everything that setup.py permits, in an environment of its own
	rm -rf .venv-newest
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/pip install --quiet --disable-pip-version-check 'setuptools>=78.1.1,<82' wheel
	.venv-newest/bin/pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager -e '.[test]'
	.venv-newest/bin/python -m pytest -n 6 --dist loadfile

lint: build ## Lint only
	$(BIN)/ruff check $(SOURCES)

format: build ## Format the sources and apply lint fixes
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

settings: build ## Write the ini files and docs/settings.md from the declared settings
	$(BIN)/python packaging/settings/generate.py

texts: build ## Write the entries of the catalogues of the pages, dpresence/languages/*.po, from the sources; new ones are empty
	$(BIN)/python packaging/texts/catalogues.py

api: build ## Write docs/api, the OpenAPI and AsyncAPI documents; RELEASE=1 also keeps them as those of the last release
	$(BIN)/python packaging/api/documents.py $(if $(RELEASE),--release)

demo: build ## Start a service of its own, play every role over real sockets, and stop
	$(BIN)/python -m dpresence.demo

bench: build ## Print server CPU per update and memory per connection; PEERS=1 compares with Mosquitto
	$(BIN)/python -m bench $(if $(PEERS),--peers)

bench-client: build ## Print how many updates a second the clients take, as a ratio to parsing them
	@if command -v node >/dev/null; then node clients/js/scripts/copy-device.mjs; fi
	PYTHONPATH=$(CLIENT) $(BIN)/python $(CLIENT)/bench/updates.py

load: build ## Load the development service of `make run`; SERVICE=url TOKEN=file DEVICES=200 RATE=100 SECONDS=10
	PYTHONPATH=$(CLIENT) $(BIN)/python -m bench.service $(if $(SERVICE),--service $(SERVICE)) $(if $(TOKEN),--token-file $(TOKEN)) \
	  $(if $(DEVICES),--devices $(DEVICES)) $(if $(RATE),--rate $(RATE)) $(if $(SECONDS),--seconds $(SECONDS))

growth: build ## Print how cost grows with applications, grants, accounts, devices and workers; takes half an hour
	$(BIN)/python -m bench.growth
	$(BIN)/python -m bench.snapshots

scale: ## Print what 1, 10 and 100 million devices need, computed from bench/scale_parameters.json
	@$(PYTHON) -m bench.scale

AUTOBAHN = autobahntestsuite==25.10.1 autobahn==0.10.9 txaio==2.1.0 Twisted==23.10.0 pyOpenSSL service-identity jinja2

conformance: build .venv-autobahn/.built ## Run the Autobahn|Testsuite against the socket layer (needs Python 3.11 or 3.12)
	$(BIN)/python -m dpresence.tests.conformance .venv-autobahn/bin/python

.venv-autobahn/.built:
	$(PYTHON) -m venv .venv-autobahn
	.venv-autobahn/bin/pip install --quiet --disable-pip-version-check $(AUTOBAHN)
	@touch $@

pages: build ## Test the pages in Chromium; writes the pictures of docs/pages.md to docs/pages
	PICTURES=1 $(BIN)/python -m pytest -m browser dpresence/tests/browser
	@mkdir -p docs/pages
	for picture in $$(grep -o 'pages/[a-z-]*\.png' docs/pages.md); do cp build/$$picture docs/$$picture; done

# The first part measures nothing. Tests of the second part mostly wait, and their bounds are wide: they run side by side, the longest first.
# Those of the third part measure latency, CPU time and memory, or need a rate of load.
TESTS = dpresence/tests
named = $(patsubst %,$(TESTS)/faults/test_%.py,$(1))
CLOCKS = $(call named,clocks)
WAITING = $(call named,outcomes soak processes upgrade moving_partitions splitting redis obligations redis_cluster webhooks clients delivery postgresql \
  redis_failover streams internal_errors partitions redis_delivery upgrade_single prometheus frozen_workers)
FAULTS = $(BIN)/python -m pytest -m 'faults or slow' --durations=10

faults: build ## Attack and break a service, and run slow tests; writes figures to build/faults.md
	rm -f build/faults.md
	$(FAULTS) -n 4 --dist loadfile $(CLOCKS) $(addprefix $(TESTS)/,browser contract live unit web) $(CLIENT)/tests
	$(FAULTS) -n 3 --dist loadfile $(WAITING)
	$(FAULTS) $(filter-out $(CLOCKS) $(WAITING),$(sort $(wildcard $(call named,*))))

SOAK_MINUTES ?= 60

soak: build ## Run a cluster for SOAK_MINUTES (60) under faults; writes figures to build/soak.md
	SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/python -m pytest -m faults dpresence/tests/faults/test_soak.py

previous: ## Keep the version of COMMIT as the one that the test of upgrades upgrades; at each release, with the release before
	git archive $(COMMIT) dpresence presence-cluster.ini presence.ini ':(exclude)dpresence/tests' | xz -9e >$(TESTS)/faults/previous.tar.xz

clean: ## Remove all build output
	rm -rf .venv $(JS)/node_modules examples/*/node_modules build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .development-*.ini *.token .*.token
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
