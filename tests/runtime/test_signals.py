import ctypes
import subprocess
import sys

import pytest

from mien.runtime.signals import SignalStack, signal_stack, signal_stack_kept

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sigaltstack is set on Linux only")

INTERRUPTED = """
import gc, os, signal
import numpy as np
from mien.faces.graph import Graph

graph = Graph("face_detection_short_range", low=-1.0)
graph(np.zeros((1, 128, 128, 3), np.uint8))
del graph
gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_the_stack_is_given_back() -> None:
    before = signal_stack()
    assert before is not None
    memory = ctypes.create_string_buffer(65536)
    other = SignalStack(ctypes.addressof(memory), 0, len(memory))
    with signal_stack_kept():
        assert ctypes.CDLL(None).sigaltstack(ctypes.byref(other), None) == 0
        assert signal_stack().pointer == ctypes.addressof(memory)
    after = signal_stack()
    assert (after.pointer, after.size) == (before.pointer, before.size)


def test_ctrl_c_after_a_graph_is_gone_is_no_crash() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
