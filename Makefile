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
	rm -rf '$(package)' && mkdir -p '$(package)'
	cp -r plpython/hartonomous_server '$(package)/'
	$(PYTHON) -m compileall -q '$(package)'
uninstall: uninstall-package
uninstall-package:
	rm -rf '$(package)'
endif

env := bash tools/env.sh
.PHONY: help up down reinstall recreate dsn psql sh
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# ---- a development server
up: ## build the system when needed, start the server, create or update the extension
	@$(env) up
down: ## stop the server; its data stay
	@$(env) down
reinstall: ## install the checkout's extension, package and client into the running system (no rebuild)
	@$(env) reinstall
recreate: ## reinstall, then drop and create the database
	@$(env) recreate
dsn: ## print the server's connection string
	@$(env) dsn
psql: ## open psql on it
	@$(env) exec psql
sh: ## a shell in the system, as postgres; CMD='...' runs one command
	@$(env) exec bash $(if $(CMD),-c '$(subst ','\'',$(CMD))')
