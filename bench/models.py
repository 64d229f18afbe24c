"""Models in tables: loading beside COPY, exact export, what fine-tunes and changes cost, a student beside its parent.

In a database of its own, which goes afterwards; --only student: parts. See METHODOLOGY.md.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import hartonomous
import lib
import models_family
import models_load
import models_student
from place import database, role

DATABASE, ROLE = "bench_models", "bench_models_writer"
PARTS = {"load": models_load.measure, "family": models_family.measure, "student": models_student.measure}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(PARTS))
    given = parser.parse_args()
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    rows = []
    for part in given.only.split(","):
        with (
            role(ROLE, DATABASE), database(DATABASE, ROLE) as place, hartonomous.connect(place.dsn) as client,
            tempfile.TemporaryDirectory() as folder,
        ):  # fmt: skip
            found = PARTS[part](place, client, Path(folder))
        print(f"\n{part}")
        lib.show(found)
        rows += [{"part": part, **row} for row in found]
    if given.only == parser.get_default("only"):
        print("written to", lib.write("models", {"machine": machine, "rows": rows}))
    lib.judge(rows)


if __name__ == "__main__":
    main()
