"""What the tests of keepers run in processes of their own."""

from __future__ import annotations

import os

from heterodyne.device.cores import available_cores


class Counter:
    """Counts how often it was asked."""

    def __init__(self):
        self.count = 0

    def __call__(self, question: bytes) -> bytes:
        if question == b"die":
            os._exit(7)
        if question == b"pid":
            return b"%d" % os.getpid()
        if question == b"threads":
            return b"%d" % available_cores()
        self.count += 1
        return b"%d" % self.count


def pid():
    """The process that this runs in."""
    return os.getpid()


def numbers_kept():
    """How many bins the keeper of this process has."""
    import gc

    from heterodyne.bins.keeper import Keeper

    (keeper,) = (one for one in gc.get_objects() if isinstance(one, Keeper))
    return len(keeper._bins)
