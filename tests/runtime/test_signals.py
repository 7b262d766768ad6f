import ctypes
import sys

import pytest

from mien.faces.graph import Graph
from mien.runtime.signals import SignalStack, signal_stack, signal_stack_kept

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sigaltstack is set on Linux only")


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


def test_a_compiled_graph_leaves_no_stack_behind() -> None:
    before = signal_stack()
    compiled_by_openvino = Graph("face_detection_short_range", low=-1.0)
    after = signal_stack()
    assert compiled_by_openvino.side_px == 128
    assert (after.pointer, after.flags, after.size) == (before.pointer, before.flags, before.size)
