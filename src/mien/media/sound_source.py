"""The sound of an annotated sample, whatever it is stored as: a stretch of a file, or made on demand."""

import numpy as np

from mien.media.audio import Sound, read_sound
from mien.schema.errors import MediaError
from mien.schema.sample import Recording, RenderedVoice, SoundSource
from mien.schema.tables import resolve

RENDERED_RATE = 16_000
"""Samples a second of voices that are made on demand."""


def read_sound_source(
    source: SoundSource, *, sample_rate: int = RENDERED_RATE, start_s: float | None = None, end_s: float | None = None
) -> Sound:
    """The sound of a sample, one channel; mute files have none.

    Args:
        source: where it is.
        sample_rate: samples a second that are wanted.
        start_s: leave out what lies before; a voice that is made on demand comes whole.
        end_s: leave out what lies from here on, likewise.

    Raises:
        MediaError: if a file cannot be read, or a voice that is made on demand is wanted at another rate than 16 kHz.
    """
    if isinstance(source, RenderedVoice):
        if sample_rate != RENDERED_RATE:
            raise MediaError(f"Voices made on demand have {RENDERED_RATE} samples a second; asked for: {sample_rate}")
        samples = resolve(source.renderer)(source.index, source.seed)[0]
        return Sound(samples=np.asarray(samples, np.float32), sample_rate=sample_rate)
    first, last = _part(source, start_s, end_s)
    return read_sound(source.path, sample_rate=sample_rate, start_s=first, end_s=last)


def _part(source: Recording, start_s: float | None, end_s: float | None) -> tuple[float | None, float | None]:
    """What is wanted of a stretch; ``None`` where the file itself begins or ends."""
    starts = [second for second in (source.start_s, start_s) if second]
    ends = [second for second in (source.end_s, end_s) if second is not None]
    return max(starts, default=None), min(ends, default=None)
