#!/bin/bash
# Runs inside the test root: pgTAP, then pytest; ends with both runners' own summaries and fails if either failed.
set -uo pipefail
export HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
what=${1:-all}
shift

pgtap() { pg_prove --quiet --nocolor --failures -d hartonomous --ext .sql -r "${@:-tests/pgtap}"; }

# Of thousands of tests with many sessions and killed servers one in some runs fails for the machine it runs on. At most three that fail, where
# all ran, are run once more, alone, on databases of their own; what passes then is told at the end. What hypothesis found it tries again first.
unsteady=
cache=$(mktemp -d)  # another user's is not to be written to
again() { # pytest's exit status
    local failed
    [ "$1" = 1 ] && ! grep -q '^!!!' /tmp/pytest.out || return
    failed=$(python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1] + "/v/cache/lastfailed"))))' "$cache") || return
    ((failed <= 3)) || return
    pytest -o cache_dir="$cache" --last-failed --last-failed-no-failures none || return
    unsteady=$(grep -E '^(FAILED|ERROR) ' /tmp/pytest.out)
}

failed=0
case $what in
    pgtap) pgtap "$@" || failed=1 ;;
    pytest) pytest "$@" || failed=1 ;;
    soak) pytest tests/soak "$@" || failed=1 ;;
    all)
        pgtap 2>&1 | tee /tmp/pgtap.out || failed=1
        pytest -o cache_dir="$cache" "$@" 2>&1 | tee /tmp/pytest.out || again "${PIPESTATUS[0]}" || failed=1
        echo
        tail -n 3 /tmp/pgtap.out
        tail -n 1 /tmp/pytest.out
        [ -z "$unsteady" ] || printf 'passed only when run again:\n%s\n' "$unsteady"
        ;;
esac
exit $failed
