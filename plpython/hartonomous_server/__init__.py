"""Server-side package of the hartonomous extension: what its PL/Python functions call."""

import os

# A postmaster started from a shell that pins OpenBLAS to another core type would halve matrix throughput in every
# backend. OpenBLAS reads the variable when it is loaded, and this package is always imported before numpy.
os.environ.pop("OPENBLAS_CORETYPE", None)
