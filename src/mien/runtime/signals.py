"""The stack on which this process takes its signals, kept from a library that leaves a dangling one behind.

OpenVINO 2026.4 gives the thread that compiles a graph an alternate signal stack, and frees it with the graph without
taking it back. Python handles signals on that stack, so Ctrl-C, or a child that ends while something listens for it,
would then kill the process.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class SignalStack(ctypes.Structure):
    """``stack_t`` of Linux."""

    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> SignalStack | None:
    """The alternate signal stack of this thread; ``None`` on systems other than Linux."""
    if sys.platform != "linux":
        return None
    found = SignalStack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Give this thread its own signal stack back, whatever happened to it inside."""
    before = signal_stack()
    try:
        yield
    finally:
        if before is not None:
            ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)
