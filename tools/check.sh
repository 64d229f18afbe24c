#!/bin/bash
# Runs inside the test root: every check, also after one has failed.
set -uo pipefail
shopt -s nullglob
script=/tmp/hartonomous-build/hartonomous--$(python3 build.py --version).sql
failed=()

check() { # name command...
    echo "== $1"
    "${@:2}" || failed+=("$1")
}

plpgsql() { # silent when nothing is found
    local found
    found=$(psql -qXAt -v ON_ERROR_STOP=1 -f tools/plpgsql_check.sql) && [ -z "$found" ] || { echo "$found" && return 1; }
}

check ruff ruff check --no-cache .
check "types of the server package" mypy --cache-dir=/tmp/mypy build.py plpython/hartonomous_server tools/*.py
check "types of the client" mypy --cache-dir=/tmp/mypy --python-version 3.10 client/hartonomous
check pgspot python3 tools/pgspot_check.py "$script"
check plpgsql_check plpgsql
check docs python3 tools/docs.py --check
check layering pytest -q tests/unit/test_layering.py

[ ${#failed[@]} = 0 ] && echo "all checks passed" && exit
echo "failed: ${failed[*]}"
exit 1
