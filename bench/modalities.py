"""What decoding costs in time and in bytes of shapes, over real files and larger ones made here."""

from __future__ import annotations

import argparse
import io
import time
import wave
from pathlib import Path
from typing import Any

import lib
import numpy as np
import psycopg
from PIL import Image
from psycopg.conninfo import make_conninfo

DATABASE = "bench_modalities"
SAMPLES = Path("/usr/local/share/hartonomous/samples")
REAL = {"image": "cam1.jpg logo2.png", "audio": "Front_Center.wav alarm-clock-elapsed.oga", "video": "anim-1.mov",
        "sensor": "Stocks.csv", "graph": "celegansneural.gml power.gml", "tensor": "bivariate_normal.npy"}  # fmt: skip
ROUNDS = 3

FEW = 500  # of fewer shapes than this the pages say little: rows are counted with 90 bytes in indexes for each
SHAPES = """select count(*), (coalesce(sum(pg_column_size(s.*)), 0) + 90 * count(*))::bigint
            from hartonomous.artifact_shape as s where artifact_id = %s"""


def main() -> None:
    machine = lib.calibrate()
    print(machine)
    with psycopg.connect(lib.dsn(), autocommit=True) as server:
        server.execute(f"drop database if exists {DATABASE} with (force)")
        server.execute(f"create database {DATABASE}")
        rows = run(make_conninfo(lib.dsn(), dbname=DATABASE))
        server.execute(f"drop database {DATABASE} with (force)")
    print(f"{'modality':9}{'content':24}{'bytes':>12}{'decoding':>11}{'shapes':>8}{'stored':>10}{'of raw':>8}")
    for row in rows:
        print(f"{row['modality']:9}{row['content']:24}{row['bytes']:12,}{row['ms']:8.0f} ms{row['shapes']:8,}"
              f"{row['stored']:10,}{row['stored'] / row['bytes']:8.1%}")  # fmt: skip
    print("written to", lib.write("modalities", {"machine": machine, "rows": rows}))


def run(dsn: str) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute("create extension hartonomous cascade")
        session.execute("select hartonomous.tenant_create('bench')")
        session.execute("select hartonomous.tenant_role_add(1, session_user)")
        for modality, content in (("image", picture(8)), ("audio", sound(1)), ("code", b"pass\n")):
            session.execute("select hartonomous.ingest(%b, %s)", [content, modality])  # libraries are loaded
        return [measure(session, *content) for content in contents()]


def measure(session: psycopg.Connection[Any], modality: str, name: str, content: bytes) -> dict[str, Any]:
    """Decoding and storing shapes is what the content takes longer than the same bytes as binary."""
    kinds = (modality, "binary")
    times = {kind: np.median([ingested(session, content, kind)[0] for _ in range(ROUNDS)]) for kind in kinds}
    session.execute("truncate hartonomous.artifact_shape")
    _, artifact = ingested(session, content, modality, keep=True)
    shapes, stored = one(session, SHAPES, artifact)
    if shapes > FEW:
        [stored] = one(session, "select pg_total_relation_size('hartonomous.artifact_shape')")
    return {"modality": modality, "content": name, "bytes": len(content), "shapes": shapes, "stored": stored,
            "ms": 1e3 * max(0.0, float(times[modality] - times["binary"]))}  # fmt: skip


def ingested(session: psycopg.Connection[Any], content: bytes, modality: str, keep: bool = False) -> tuple[float, int]:
    started = time.perf_counter()
    with session.transaction(force_rollback=not keep):
        [artifact] = one(session, "select hartonomous.ingest(%b, %s)", content, modality)
    return time.perf_counter() - started, artifact


def one(session: psycopg.Connection[Any], query: str, *parameters: Any) -> Any:
    return session.execute(query, parameters).fetchone()


def contents() -> list[tuple[str, str, bytes]]:
    named = [(modality, name) for modality, names in REAL.items() for name in names.split()]
    real = [(modality, name, (SAMPLES / name).read_bytes()) for modality, name in named]
    series = "".join(f"{at},{value:.3f}\n" for at, value in enumerate(np.random.default_rng(1).normal(size=500_000)))
    return [
        *real,
        ("image", "12 megapixels, JPEG", picture(4000, 3000)),
        ("audio", "10 minutes, stereo, WAV", sound(600)),
        ("sensor", "500,000 samples, CSV", series.encode()),
        ("tensor", "4096 x 4096 float32", tensor()),
        ("code", "argparse.py", Path(argparse.__file__).read_bytes()),
    ]


def picture(width: int, height: int = 8) -> bytes:
    """A scaled photograph: neither noise nor one colour."""
    file = io.BytesIO()
    Image.open(SAMPLES / "cam1.jpg").resize((width, height)).save(file, "JPEG", quality=90)
    return file.getvalue()


def sound(seconds: int, rate: int = 44_100) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.random.default_rng(2).integers(-9000, 9000, (rate * seconds, 2), np.int16).tobytes())
    return file.getvalue()


def tensor() -> bytes:
    file = io.BytesIO()
    np.save(file, np.random.default_rng(3).normal(size=(4096, 4096)).astype(np.float32))
    return file.getvalue()


if __name__ == "__main__":
    main()
