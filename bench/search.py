"""Vector search as a tenant: recall by class of filter, tenant and index, beside pgvector and fixed paths.

Parts: classes, tenants, timing, everybody, million. classes and tenants share a database, the others
have their own; --keep takes those of the last run. See METHODOLOGY.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

import lib
import search_classes
import search_index
import search_tenants
import search_timing

PARTS: dict[str, Callable[[argparse.Namespace], Iterable[list[dict[str, Any]]]]] = {
    "classes": search_classes.run,
    "tenants": search_tenants.run,
    "timing": search_timing.run,
    "everybody": search_index.everybody,
    "million": search_index.million,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--rows", type=int, default=100_000, help="of the measured tenant; as many of a hundred others")
    parser.add_argument("--queries", type=int, default=1000, help="for each class of filter")
    parser.add_argument("--many", type=int, default=1_000_000, help="rows of the part million")
    parser.add_argument("--synthetic", action="store_true", help="clusters in place of embeddings of real texts")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--keep", action="store_true", help="the databases of the last run")
    options = parser.parse_args()
    found = []
    for part in options.only:
        machine = lib.calibrate()
        print(f"{part}; machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
        rows = []
        for some in PARTS[part](options):
            lib.show(some)
            rows += some
            path = lib.keep("search", part, {"machine": machine, "rows": rows})
        found += [{"part": part, **row} for row in rows]
    print(f"written to {path}")
    lib.judge(found)


if __name__ == "__main__":
    main()
