"""Models in tables: loading beside COPY, exact export, what fine-tunes and changes cost, a student beside its parent.

In databases of its own, which go afterwards; --only student: parts. See METHODOLOGY.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hartonomous
import models_family
import models_load
import models_student
from place import Part, Place, run


def part(measure: Callable[[Place, Any, Path], list[dict[str, Any]]]) -> Part:
    """With the tenant's client and a folder for files."""

    def measured(place: Place) -> list[dict[str, Any]]:
        with hartonomous.connect(place.dsn) as client, tempfile.TemporaryDirectory() as folder:
            return measure(place, client, Path(folder))

    return measured


if __name__ == "__main__":
    measures = {"load": models_load.measure, "family": models_family.measure, "student": models_student.measure}
    run("models", {name: part(measure) for name, measure in measures.items()})
