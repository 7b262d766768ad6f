"""Windows of equally many steps over a sequence of any length, of which only the last window is in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

WORTH = 0.5
"""The last step of a long sequence counts if it lasts for this share of a step."""

Step = TypeVar("Step")


@dataclass(frozen=True, slots=True)
class Window(Generic[Step]):
    """Steps that belong together.

    Attributes:
        first: number of the first one in the sequence.
        steps: all of them.
        is_last: whether the sequence ends with them.
    """

    first: int
    steps: tuple[Step, ...]
    is_last: bool


def slide(steps: Iterable[Step], size: int, every: int, length: Callable[[], float]) -> Iterator[Window[Step]]:
    """The windows of a sequence: full ones from the beginning on, and one at the end if it is not covered.

    A sequence of at most ``size`` steps is one window. Of a longer one the last step counts if enough of it is there.
    A window is given when the step behind it comes, so that ``is_last`` is true of one that ends with the sequence.

    Args:
        steps: the sequence.
        size: steps of a window.
        every: steps from one window to the next.
        length: how many steps the sequence lasts, in fractions; asked for after the last step.
    """
    kept: deque[Step] = deque(maxlen=size + 1)
    count, due, covered = 0, size, 0
    for step in steps:
        if count == due:
            yield Window(count - size, tuple(kept)[-size:], is_last=False)
            due, covered = due + every, count
        kept.append(step)
        count += 1
    if count > size and length() - (count - 1) < WORTH:
        kept.pop()
        count -= 1
    if count > covered:
        yield Window(max(0, count - size), tuple(kept)[-size:], is_last=True)
