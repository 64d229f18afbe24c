"""Products with weights that lie as a kernel of OpenBLAS reads them.

Before it multiplies, OpenBLAS copies both factors into panels. With few tokens the copy of the weights takes longer
than the product: here its functions make these panels once, in the place of the weights, and its kernel is called on
them. None of this is its interface: what was not tried is not called.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from hartonomous_server import blas

blas.numpy()
import numpy as np  # noqa: E402

Array = np.ndarray

RUN = 384  # terms that are added up in a register; the kernels tried take 448
TRIED = {"0.3.29": ("SkylakeX", "Cooperlake", "SapphireRapids")}  # a column is the same at every width and place

_SIZE, _POINTER, _FACTOR = ctypes.c_long, ctypes.c_void_p, ctypes.c_float


class Panels(NamedTuple):
    """OpenBLAS's functions for one core; each sees a matrix (rows, columns) of C as the transpose of Fortran's."""

    copy_weights: Any  # (terms, rows, weights, terms of a whole row, panels)
    copy_tokens: Any  # (terms, tokens, x, tokens, panels)
    kernel: Any  # (tokens, rows, terms, factor, panels of x, panels of weights, out, tokens): adds to out

    def arrange(self, weights: Array) -> None:
        """Makes weights (rows, terms) panels, in their place."""
        (rows, terms), source = weights.shape, weights.copy()
        for start in range(0, terms, RUN):
            run = min(RUN, terms - start)
            self.copy_weights(run, rows, _address(source) + 4 * start, terms, _address(weights) + 4 * start * rows)

    def add_product(self, weights: Array, x: Array, out: Array, scratch: Array) -> None:
        """out (rows, tokens) += arranged weights x x (terms, tokens); scratch: RUN x tokens numbers."""
        (terms, tokens), rows = x.shape, len(out)
        source, panels, target, copied = _address(x), _address(weights), _address(out), _address(scratch)
        for start in range(0, terms, RUN):
            run = min(RUN, terms - start)
            self.copy_tokens(run, tokens, source + 4 * start * tokens, tokens, copied)
            self.kernel(tokens, rows, run, 1, copied, panels + 4 * start * rows, target, tokens)


def found() -> Panels | None:
    """The functions for this processor where they were tried."""
    core = blas.core_name()
    if core not in TRIED.get(blas.version(), ()):
        return None
    copies = _SIZE, _SIZE, _POINTER, _SIZE, _POINTER
    functions = [blas.kernel(f"sgemm_{name}_{core.upper()}", copies) for name in ("oncopy", "itcopy")]
    arguments = _SIZE, _SIZE, _SIZE, _FACTOR, _POINTER, _POINTER, _POINTER, _SIZE
    functions.append(blas.kernel(f"sgemm_kernel_{core.upper()}", arguments))
    return None if None in functions else Panels(*functions)


def _address(array: Array) -> int:
    if not (array.flags.c_contiguous and array.dtype == np.float32):
        raise ValueError("array is not of float32 in C order")
    return array.__array_interface__["data"][0]
