"""What the benchmarks share: calibration of the machine, intervals, results as JSON."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hartonomous_server import blas

np = blas.numpy()

RESULTS = Path(__file__).parent / "results"
CACHE = Path(__file__).parent.parent / ".hartonomous" / "cache"
MB = 1_000_000
T = TypeVar("T")


def dsn() -> str:
    return os.environ["HARTONOMOUS_DSN"]


def calibrate() -> dict[str, Any]:
    """Speed of the machine now, so that figures of two runs can be compared."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "blas_core": blas.core_name(),
        "gemm_gflops": round(_gemm()),
        "memory_gb_s": round(_memory(), 1),
        "select_1_per_s": round(_select_1()),
        "load_1_min": round(os.getloadavg()[0], 1),
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _gemm(size: int = 1536) -> float:
    a = np.ones((size, size), np.float32)
    return max(2 * size**3 / _seconds(lambda: a @ a) for _ in range(5)) / 1e9


def _memory(size: int = 1 << 28) -> float:
    a, b = np.ones(size // 4, np.float32), np.empty(size // 4, np.float32)
    return max(2 * size / _seconds(lambda: np.copyto(b, a)) for _ in range(3)) / 1e9


def _select_1(seconds: int = 2) -> float:
    """Round trips a second of one pgbench client."""
    command = ["pgbench", "-n", "-T", str(seconds), "-f", "/dev/stdin", dsn()]
    output = subprocess.run(command, input="select 1;", capture_output=True, text=True, check=True).stdout
    return float(next(line.split("=")[1].split()[0] for line in output.splitlines() if line.startswith("tps")))


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What a work gives, and the seconds that it takes."""
    started = time.perf_counter()
    found = work()
    return found, time.perf_counter() - started


def percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{part}": float(np.percentile(values, part)) for part in (50, 95, 99)}


def _seconds(work: Any) -> float:
    return timed(work)[1]


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a proportion."""
    p, scale = hits / n, 1 + z * z / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / scale, (middle + half) / scale


def row(what: str, unit: str, figures: dict[str, float], digits: int = 0, least: float | None = None,
        most: float | None = None) -> dict[str, Any]:
    """A line of a table: figures by system, ours first, and the bar for ours."""
    ours = next(iter(figures.values()))
    bar = f">= {least:,g}" if least is not None else f"<= {most:,g}" if most is not None else ""
    holds = (least is None or ours >= least) and (most is None or ours <= most)
    return {"what": what, "unit": unit, "figures": figures, "digits": digits, "bar": bar, "holds": holds}


def show(rows: list[dict[str, Any]]) -> None:
    width = max(len(row["what"]) for row in rows)
    for row in rows:
        figures = "  ".join(f"{name} {value:>10,.{row['digits']}f}" for name, value in row["figures"].items())
        print(f"{row['what']:{width}}  {row['unit']:6} {row['bar']:10} {'' if row['holds'] else 'FAILS':5}  {figures}")


def judge(rows: list[dict[str, Any]]) -> None:
    """Ends the run when a bar does not hold."""
    barred = [row for row in rows if row["bar"]]
    failed = [f"{row['part']}: {row['what']}" for row in barred if not row["holds"]]
    print(f"{len(barred) - len(failed)} of {len(barred)} bars hold")
    if failed:
        sys.exit("do not hold: " + "; ".join(failed))


def write(name: str, result: dict[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def keep(name: str, part: str, result: dict[str, Any]) -> Path:
    """Writes the result of a part, in place of its last."""
    path = RESULTS / f"{name}.json"
    parts = json.loads(path.read_text())["parts"] if path.exists() else {}
    return write(name, {"parts": {**parts, part: result}})
