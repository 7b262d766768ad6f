"""A bar on the terminal while pictures and videos are read."""

from collections.abc import Iterable, Iterator, Sequence

from mien.predict.answer import Answer
from mien.predict.sources import Picture, Video

LEAST = 20
"""Fewer pictures, and no video, need no bar."""


def shown(answers: Iterable[Answer], given: Sequence[Picture | Video]) -> Iterator[Answer]:
    """The same answers, with a bar that counts sources and tells the second of the video that is read."""
    if len(given) < LEAST and not any(isinstance(one, Video) for one in given):
        yield from answers
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("Reading"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(given))
        current: Picture | Video | None = None
        for answer in answers:
            if answer.source is not current:
                progress.advance(task, 0 if current is None else 1)
                current = answer.source
            if answer.time_s is not None:
                of = f" of {answer.info.duration_s:.0f}" if answer.info and answer.info.duration_s else ""
                progress.update(task, description=f"{answer.time_s:.1f}{of} s")
            yield answer
        progress.advance(task)
