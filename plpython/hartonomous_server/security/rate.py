"""Throttles: the generic cell rate algorithm (ITU-T I.371, virtual scheduling) over a small file of several processes.

A subject is whatever a limit counts: a tenant, a key. All that is known of one is its theoretical arrival time (TAT):
the moment when everything it took has been regained. A request of n units that cost an interval each passes when
max(TAT, now) + n * interval <= now + burst * interval, and moves TAT to the left side.

The file is a table of buckets of slots, a slot being a subject's tag and TAT. A TAT in the past says no more than none
would, so its slot is free. A newcomer to a bucket without a free slot takes the slot that is free next, and its TAT
with it (the Space-Saving rule of Metwally, Agrawal and El Abbadi, 2005): the least TAT of a bucket never falls while
all slots are taken, so whoever was displaced comes back to no less than it left. Nobody is admitted too often;
newcomers to such a bucket may wait for the slot.
"""

from __future__ import annotations

# nothing else, and nothing that imports much: a backend waits for these imports at its first throttled call
import fcntl
import os
import struct
import time

from hartonomous_server import data_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

SECOND = 10**9
TAT = struct.Struct("=Q")  # nanoseconds since the machine started
SLOT = struct.Struct("=8sQ")  # tag of the subject, TAT
SLOTS, BUCKETS = 32, 2048
BUCKET = SLOT.size * SLOTS
BEGIN = 4096  # of the buckets; before it, whose times these are
MAGIC = b"hartonomous rate limits 1 "
BOOT_ID = "/proc/sys/kernel/random/boot_id"

Limit = tuple[bytes, int, int]  # SHA-256 of the subject, nanoseconds that a unit costs, units that may be taken at once


def now() -> int:
    """Nanoseconds since the machine started, the same in all processes; no clock setting moves it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Table:
    """TATs in a file. Record locks belong to the process and vanish when it closes any descriptor of the file, so a
    process opens it once; the kernel frees them when the process dies."""

    def __init__(self, path: str, boot: bytes, clock: Callable[[], int] = now) -> None:
        self._clock = clock
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # read and written by system calls: a mapped page of a file that somebody cut short would kill the server
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        head = MAGIC + boot
        fcntl.lockf(self._file, fcntl.LOCK_EX, BEGIN, 0)
        try:
            if os.pread(self._file, len(head), 0) != head:  # new, or times of another machine or before a restart
                os.ftruncate(self._file, 0)
                os.posix_fallocate(self._file, 0, BEGIN + BUCKET * BUCKETS)
                os.pwrite(self._file, head, 0)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def take(self, limits: Sequence[Limit], units: int) -> list[int]:
        """Takes units of every limit, or of none: nanoseconds to wait for each, all 0 when they were taken."""
        places = [_place(subject) for subject, _, _ in limits]
        locked = sorted({bucket for bucket, _ in places})  # in one order, so that nobody waits in a circle
        try:
            for bucket in locked:
                fcntl.lockf(self._file, fcntl.LOCK_EX, BUCKET, bucket)
            at = self._clock()
            content = {
                bucket: bytearray(os.pread(self._file, BUCKET, bucket).ljust(BUCKET, b"\0")) for bucket in locked
            }
            waits = []
            changes = []
            for (_, interval, burst), (bucket, tag) in zip(limits, places, strict=True):
                tolerance = interval * burst
                slot, arrival = _find(content[bucket], tag, at, at + tolerance)
                arrival += units * interval
                waits.append(max(0, arrival - at - tolerance))
                after = tag + TAT.pack(arrival)
                content[bucket][slot : slot + SLOT.size] = after
                changes.append((after, bucket + slot))
            if not any(waits):
                for after, place in changes:
                    os.pwrite(self._file, after, place)
            return waits
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)


def _place(subject: bytes) -> tuple[int, bytes]:
    """Offset of the subject's bucket, and its tag."""
    return BEGIN + int.from_bytes(subject[:8], "little") % BUCKETS * BUCKET, subject[8:16]


def _find(bucket: bytearray, tag: bytes, at: int, latest: int) -> tuple[int, int]:
    """Offset of a subject's slot, and the time from which its next unit counts."""
    slot = bucket.find(tag)
    while slot > 0 and slot % SLOT.size:  # in the middle of a slot
        slot = bucket.find(tag, slot + 1)
    if slot >= 0:
        (arrival,) = TAT.unpack_from(bucket, slot + len(tag))
        # one that the limit cannot have made is forgotten: the limit was changed since
        return slot, arrival if at < arrival <= latest else at
    arrival, slot = min((arrival, i * SLOT.size) for i, (_, arrival) in enumerate(SLOT.iter_unpack(bucket)))
    return slot, max(at, arrival)


_table: Table | None = None  # of the backend's database; holds nothing of any tenant's


def take(db: Any, subjects: list[bytes], intervals: list[int], bursts: list[int], units: int) -> list[int]:
    """Table.take on the table of this database."""
    global _table
    if _table is None:
        _table = _open(db)
    return _table.take(list(zip(subjects, intervals, bursts, strict=True)), units)


def _open(db: Any) -> Table:
    with open(BOOT_ID, "rb") as boot:
        return Table(f"{data_directory.own(db)}/rate_limits", boot.read().strip())
