# `make help` lists the verbs of daily life; `make install PG_CONFIG=...` installs into a native server by PGXS.
.DEFAULT_GOAL := help
PG_CONFIG ?= pg_config
PYTHON ?= python3
BUILD ?= build
version := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" extension.control)

ifneq (,$(filter install uninstall installdirs,$(MAKECMDGOALS)))
share := $(shell $(PG_CONFIG) --sharedir)
package := $(DESTDIR)$(share)/hartonomous/$(version)
scripts := hartonomous--$(version).sql \
	$(patsubst sql/updates/%,hartonomous--%,$(wildcard sql/updates/*--$(version).sql)) \
	$(notdir $(wildcard sql/released/hartonomous--*.sql))
MODULEDIR := extension
DATA_built := $(addprefix $(BUILD)/,hartonomous.control $(scripts))
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

.PHONY: assemble install-package
$(DATA_built) &: assemble
	$(PYTHON) build.py --out '$(BUILD)' --share '$(share)'
install: install-package
install-package:
	rm -rf '$(package).new' && mkdir -p '$(package).new'
	cp -r plpython/hartonomous_server '$(package).new/'
	$(PYTHON) -m compileall -q -s '$(package).new' -p '$(package)' '$(package).new'
	rm -rf '$(package)' && mv '$(package).new' '$(package)'
uninstall: uninstall-package
uninstall-package:
	rm -rf '$(package)'
else

env := bash tools/env.sh
verbs := help up down reinstall recreate dsn psql sh log demo test test-pgtap test-pytest check bench soak docs \
	image dist clean purge neo4j-up neo4j-down
.PHONY: $(verbs)

help: ## this list
	@sed -n 's/^\([a-zA-Z0-9-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: ## everything on a fresh machine: a real model, a real book, questions answered with their lineage
	@$(env) demo $(ARGS)
up: ## start the development server with the extension; builds the system when needed
	@$(env) up
down: ## stop it; its data stay
	@$(env) down
dsn: ## print its connection string
	@$(env) dsn
psql: ## open psql on it
	@$(env) exec psql
log: ## follow its log
	@$(env) exec tail -n 50 -f /data/server.log
sh: ## a shell in the system, as postgres; CMD='...' runs one command
	@$(env) exec bash $(if $(CMD),-c '$(subst ','\'',$(CMD))')
reinstall: ## install the checkout into the running system, without a rebuild
	@$(env) reinstall
recreate: ## reinstall, then drop and create the database
	@$(env) recreate

test: ## every test, on a test server made for it; PYTEST='-k name' passes arguments to pytest
	@$(env) test all $(PYTEST)
test-pgtap: ## the SQL contract only; PGTAP='tests/pgtap/05_tenants.sql' chooses files
	@$(env) test pgtap $(PGTAP)
test-pytest: ## pytest only, with the arguments in PYTEST
	@$(env) test pytest $(PYTEST)
soak: ## the long seeded fault and history suites
	@$(env) test soak $(PYTEST)
check: ## lint, types, pgspot, generated docs, layering
	@$(env) check
docs: ## write the generated reference pages
	@$(env) docs
bench: ## every benchmark, on the development server; make bench-NAME runs one, with ARGS
	@$(env) bench
bench-%:
	@$(env) bench $* $(ARGS)

neo4j-up: ## start a Neo4j Community on loopback and print how to reach it
	@$(env) neo4j_up
neo4j-down: ## stop it; its data stay
	@$(env) neo4j_down

image: ## build the image to deploy (what compose.yaml runs)
	@$(env) image
dist: ## a source archive of the committed tree
	@mkdir -p dist
	git archive --prefix=hartonomous-$(version)/ -o dist/hartonomous-$(version).tar.gz HEAD
clean: ## remove this checkout's servers WITH THEIR DATA
	@$(env) clean
purge: ## clean, and remove the built systems shared by all checkouts
	@$(env) purge
endif
