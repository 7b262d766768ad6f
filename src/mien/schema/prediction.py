"""What comes out: a found face, an answer for it, and the table of all of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.schema.labels import LabelSet
from mien.schema.sample import Box
from mien.schema.tables import resolve

Alignment = Literal["mesh", "detector", "given", "none"]
"""Where the eye positions came from: the mesh, the detector, the dataset's annotation, or nowhere."""

Status = Literal["ok", "no_face", "too_small", "turned", "blurred", "uncertain", "error"]

LEADING_COLUMNS = (
    "source",
    "frame",
    "time_s",
    "start_s",
    "end_s",
    "face_id",
    "x1",
    "y1",
    "x2",
    "y2",
    "face_score",
    "alignment",
    "label",
    "score",
    "status",
    "detail",
    "model",
)

Modalities = Literal["face+voice", "face", "voice", ""]
"""What an answer rests on; empty where there was neither a face nor a voice."""

SHARE_COLUMNS = ("modalities", "w_face", "w_voice")
"""The last columns of a table by a model of face and voice; other tables lack them."""

Kind = Literal["probabilities", "intensities"]
"""What is told of each label: how probable it is, or how strong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One face found in a picture; all coordinates in pixels of that picture.

    Attributes:
        box: ``x1, y1, x2, y2``.
        score: the detector's confidence in [0, 1].
        eyes: ``float64 [2, 2]``, the eye on the left of the picture first; ``None`` if unknown.
        alignment: where ``eyes`` came from.
        landmarks: ``float32 [68, 2]`` or ``None``.
        presence: the mesh's own confidence that it lies on a face, in [0, 1]; ``None`` if it did not run.
    """

    box: Box
    score: float
    eyes: NDArray[np.float64] | None = None
    alignment: Alignment = "none"
    landmarks: NDArray[np.float32] | None = None
    presence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One row of the answer: a face (or its absence) and what it expresses.

    Attributes:
        source: path or name of the picture.
        face_id: number of the face within the source, from 0; ``None`` where there is no face.
        face: the face, if one was found.
        label: the expression, or ``None`` where the model abstains or there is no face.
        score: probability of ``label`` in [0, 1].
        status: ``ok`` or why there is no label.
        detail: one sentence for a status other than ``ok``.
        probabilities: ``float32 [C]``, summing to 1, in the order of the result's labels.
        frame: index of the frame in its source, from 0.
        time_s: time of the frame.
        start_s: where a window of frames begins, for models of clips.
        end_s: where it ends.
        raw: probabilities of this frame alone, where ``probabilities`` are smoothed over time.
        intensities: ``float32 [C]``, how strong each reaction is, each in [0, 1], of a model that tells this; such a
            row has no label, no score and no probabilities.
        modalities: what the answer rests on, of a model of face and voice; ``None`` of all others.
        w_face: what the face counted for the answer at this moment, in [0, 1].
        w_voice: what the voice counted; both sum to 1.
    """

    source: str
    face_id: int | None = None
    face: Face | None = None
    label: str | None = None
    score: float | None = None
    status: Status = "ok"
    detail: str = ""
    probabilities: NDArray[np.float32] | None = None
    frame: int | None = None
    time_s: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    raw: NDArray[np.float32] | None = None
    intensities: NDArray[np.float32] | None = None
    modalities: Modalities | None = None
    w_face: float | None = None
    w_voice: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All predictions of one call, in order of the sources.

    Attributes:
        labels: the classes of ``probabilities``, or the reactions of ``intensities``.
        model: name of the model and the first digits of its hash.
        predictions: one entry a face; one for a source without a face or that could not be read.
        images: pictures by source, ``uint8 [H, W, 3]`` RGB, kept only if asked for.
        kind: what is told of each label.
    """

    labels: LabelSet
    model: str
    predictions: tuple[Prediction, ...]
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict, repr=False)
    kind: Kind = "probabilities"

    def __len__(self) -> int:
        return len(self.predictions)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    def __getitem__(self, index: int) -> Prediction:
        return self.predictions[index]

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The table: ``LEADING_COLUMNS``, then ``p_<label>`` or ``i_<label>``, ``raw_p_<label>`` where answers are
        smoothed, and ``SHARE_COLUMNS`` where they rest on face and voice.
        """
        columns: dict[str, NDArray[Any]] = resolve("mien.predict.table:columns_of")(self)
        return columns

    def to_pandas(self) -> Any:
        """The table as a ``pandas.DataFrame`` (extra ``tables``)."""
        return resolve("mien.predict.table:to_pandas")(self)

    def save(self, path: str | Path) -> Path:
        """Write the table to ``.csv``, ``.jsonl`` or ``.parquet``; the suffix decides."""
        written: Path = resolve("mien.predict.table:save")(self, Path(path))
        return written

    def episodes(self, **settings: float) -> Any:
        """What each face of each video expressed over time: shares and episodes, as ``predict.episodes`` has them.

        Raises:
            ConfigError: if answers are intensities, or a setting is out of range.
        """
        return resolve("mien.predict.episodes:summaries_of")(self, **settings)

    def draw(self, source: str | None = None) -> NDArray[np.uint8]:
        """A picture with boxes, labels and bars of probabilities, ``uint8 [H, W, 3]`` RGB; a chart of intensities.

        Args:
            source: which picture or clip; may be left out if there is only one.
        """
        drawn: NDArray[np.uint8] = resolve("mien.predict.draw:draw_result")(self, source)
        return drawn
