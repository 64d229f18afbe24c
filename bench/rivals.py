"""Rivals from PyPI in an environment of their own, and engines as processes that take turns."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

CACHE = Path("/cache")  # of all checkouts
OPSET = 17  # the first one with a layer norm of its own
PACKAGES = Path(__file__).with_name("rivals.txt")


def python() -> Path:
    """The interpreter of an environment with what rivals.txt lists, made once: a download of 3 GB."""
    digest = hashlib.sha256(f"{sys.version}\n{PACKAGES.read_text()}".encode()).hexdigest()
    folder = CACHE / f"rivals-{digest[:12]}"
    complete, interpreter = folder / "complete", folder / "bin" / "python"
    if not complete.exists():
        print(f"installing {' '.join(PACKAGES.read_text().split())} (once; 6 GB)", flush=True)
        for old in CACHE.glob("rivals-*"):
            shutil.rmtree(old)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        unpacked = folder / "tmp"
        unpacked.mkdir()
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", interpreter, "install", "-q", "--no-cache-dir", "-r", PACKAGES],
            check=True, env=os.environ | {"TMPDIR": str(unpacked)},
        )  # fmt: skip
        shutil.rmtree(unpacked)
        complete.touch()
    return interpreter


def onnx(model: Path) -> Path:
    """The network of a model's folder as an ONNX file of float32, exported once."""
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    path = CACHE / f"{digest[:12]}-{OPSET}.onnx"
    if not path.exists():
        partial = path.with_suffix(".partial")
        script = Path(__file__).with_name("onnx_export.py")
        subprocess.run([sys.executable, script, model, partial, str(OPSET)], check=True)
        partial.rename(path)
    return path


class Engine:
    """A process that answers each line of JSON with one. patient: its OpenMP threads do not spin while they wait."""

    def __init__(self, interpreter: Path | str, *arguments: str, threads: int, patient: bool = False) -> None:
        limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
        settings = dict.fromkeys(limits, str(threads)) | {"HF_HUB_OFFLINE": "1"}
        if patient:
            settings["OMP_WAIT_POLICY"] = "PASSIVE"
        script = "import inference_engines; inference_engines.main()"
        self._process = subprocess.Popen(
            [interpreter, "-c", script, *arguments, str(threads)], env=os.environ | settings, text=True,
            cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.build = self.ask()

    def ask(self, question: Any = None) -> Any:
        """The next answer, to a question when one is given."""
        assert self._process.stdin is not None and self._process.stdout is not None
        if question is not None:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self._process.args} ended with {self._process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        with suppress(BrokenPipeError):
            self._process.communicate()
