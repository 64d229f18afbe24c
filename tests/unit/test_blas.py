"""numpy is loaded with one BLAS thread, and threads never take a backend's signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

from hartonomous_server import blas


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


PATH = f"import sys; sys.path[:0] = {sys.path!r}\n"


def test_package_does_not_import_numpy() -> None:
    assert run(PATH + "import hartonomous_server.errors, sys; print('numpy' in sys.modules)") == "False"


def test_core_type_of_the_environment_is_dropped() -> None:
    code = "import os; os.environ['OPENBLAS_CORETYPE'] = 'Nehalem'\n" + PATH
    assert run(code + "import hartonomous_server, os; print('OPENBLAS_CORETYPE' in os.environ)") == "False"


def test_import_starts_no_thread_and_limits_blas() -> None:
    code = PATH + "from hartonomous_server import blas; import os; blas.numpy()\n"
    assert run(code + "print(len(os.listdir('/proc/self/task')), blas.threads())") == "1 1"


def test_blas_is_limited_when_numpy_was_there_first() -> None:
    code = PATH + "import numpy\nfrom hartonomous_server import blas\nblas.numpy()\n"
    assert run(code + "print(blas.threads())") == "1"


def test_what_numpy_does_without_can_be_imported_later() -> None:
    code = PATH + "from hartonomous_server import blas; import sys; blas.numpy()\n"
    code += "print('numpy._typing' in sys.modules)\nimport numpy.typing\nprint(numpy.typing.NDArray[numpy.float32])"
    assert run(code).splitlines() == ["False", "numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float32]]"]


def test_threads_of_blas_block_every_signal() -> None:
    code = PATH + (
        "from hartonomous_server import blas; import os; blas.numpy(); blas.set_threads(2)\n"
        "tasks = [t for t in os.listdir('/proc/self/task') if int(t) != os.getpid()]\n"
        "lines = [line for t in tasks for line in open(f'/proc/self/task/{t}/status') if line.startswith('SigBlk')]\n"
        "print(len(tasks), all(int(line.split()[1], 16) & (1 << 1) for line in lines))"
    )
    assert run(code) == "1 True"


def test_core_is_known() -> None:
    assert blas.core_name() not in ("", "unknown")


def test_signals_are_blocked_for_threads_and_restored_after() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    masks: list[set[signal.Signals]] = []
    with blas.signals_blocked():
        thread = threading.Thread(target=lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
        thread.start()
    thread.join()
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM} <= masks[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
