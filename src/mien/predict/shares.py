"""What an answer rests on: a face, a voice or both, and the share of each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from mien.schema.prediction import Modalities, Prediction

SEVERAL = "One voice and several faces: it counts for each of them, since it is not told whose it is."

MODALITIES: Mapping[tuple[bool, bool], Modalities] = MappingProxyType(
    {(True, True): "face+voice", (True, False): "face", (False, True): "voice"}
)
"""By whether a face, and a voice, is there."""


def based(row: Prediction, *, is_seen: bool, is_heard: bool, voice_share: float) -> Prediction:
    """The row with what it rests on.

    Args:
        row: an answer of the network.
        is_seen: whether it saw a face.
        is_heard: whether it heard a voice; one of both is true.
        voice_share: what the voice counts where there is a face as well; NaN if the network does not tell.
    """
    voice = voice_share if is_seen and is_heard else float(is_heard)
    is_told = bool(np.isfinite(voice))
    return replace(
        row,
        modalities=MODALITIES[is_seen, is_heard],
        w_face=1 - voice if is_told else None,
        w_voice=voice if is_told else None,
    )


def completed(rows: Sequence[Prediction]) -> tuple[Prediction, ...]:
    """The rows of one moment: where several faces go with one voice, each says so; none lacks its modalities."""
    several = sum(row.modalities == "face+voice" for row in rows) > 1
    return tuple(
        replace(row, detail=f"{row.detail} {SEVERAL}".strip())
        if several and row.modalities == "face+voice"
        else replace(row, modalities=row.modalities or "")
        for row in rows
    )
