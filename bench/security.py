"""What security costs, and whether it holds under a clock: isolation, authentication, throttles, timing, policies.

--tenants 100 --rows 10000: the databases, --only isolation,timing: parts, --rebuild: load anew. See METHODOLOGY.md.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import lib
import security_controls
import security_isolation
import security_timing
from security_data import POOL_ROLE, TENANT_ROLE, Database

PARTS = ["isolation", "authenticate", "throttle", "timing", "controls"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--rebuild", action="store_true")
    given = parser.parse_args()
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    many = Database("bench_security_many", given.tenants, given.rows)
    lone = Database("bench_security_lone", 1, given.rows)
    for database in (many, lone):
        if given.rebuild or not database.ready():
            database.build()
    claims = []
    for part in given.only.split(","):
        found = run(part, many, lone)
        show(part, found)
        claims += found
    path = lib.write("security", {"machine": machine, "tenants": given.tenants, "rows": given.rows, "claims": claims})
    failed = [f"{claim['part']}: {claim['what']}" for claim in claims if not claim["holds"]]
    print(f"written to {path}; {len(claims) - len(failed)} of {len(claims)} claims hold")
    if failed:
        sys.exit("do not hold: " + "; ".join(failed))


def run(part: str, many: Database, lone: Database) -> list[dict[str, Any]]:
    if part == "isolation":
        return security_isolation.measure(many, lone)
    if part == "timing":
        with many.connect() as owner, many.connect(TENANT_ROLE) as tenant:
            return security_timing.measure(owner, tenant)
    measures = {
        "authenticate": security_controls.authenticate, "throttle": security_controls.throttle,
        "controls": security_controls.controls,
    }  # fmt: skip
    return measures[part](lone, POOL_ROLE)


def show(part: str, claims: list[dict[str, Any]]) -> None:
    print(f"\n{part}\n  {'what':42}{'measured':>10}  {'bound':14}{'':6}detail")
    for claim in claims:
        verdict = "" if claim["holds"] else "FAILS"
        print(f"  {claim['what']:42}{claim['value']:>10}  {claim['bound']:14}{verdict:6}{claim['detail']}")


if __name__ == "__main__":
    main()
