"""A setting of the C library without which training on a CPU waits for the kernel.

A network allocates and frees maps of many megabytes for every batch. glibc asks the kernel for each of these anew and
gives it back at once, so that every page is cleared and mapped again: a third of the time of an epoch at 64 pixels and
batches of 128, measured on 2 cores. Kept in the process, the same pages serve the next batch.
"""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Numbers of ``mallopt`` parameters, from ``malloc.h``."""


def keep_freed_memory() -> bool:
    """Let this process keep what it frees; whether that could be set (glibc only, else nothing happens)."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
