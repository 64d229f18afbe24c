#!/bin/bash
# Runs inside the test root: pgTAP, then pytest; ends with both runners' own summaries and fails if either failed.
set -uo pipefail
export HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
what=${1:-all}
shift

pgtap() { pg_prove --quiet --nocolor --failures -d hartonomous --ext .sql -r "${@:-tests/pgtap}"; }
run() { # runner argument...
    "$@" 2>&1 | tee "/tmp/$1.out" || failed=1
}

failed=0
case $what in
    pgtap) pgtap "$@" || failed=1 ;;
    pytest) pytest "$@" || failed=1 ;;
    soak) pytest tests/soak "$@" || failed=1 ;;
    all)
        run pgtap
        run pytest "$@"
        echo
        tail -n 3 /tmp/pgtap.out
        tail -n 1 /tmp/pytest.out
        ;;
esac
exit $failed
