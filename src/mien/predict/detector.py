"""Models that find and read faces in one pass.

pictures ─ read ──────┐ a few threads                        videos: boxes get numbers, frame by frame ─┐
videos ─ decode ──────┤                                                                                 │
                      └─ whole picture (and tiles) ─ tensors ─ session ─ task.faces ─ boxes in pixels ──┴─ rows
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.faces.boxes import BoxTracker
from mien.faces.quality import side_px
from mien.faces.scene import SceneCuts
from mien.media.picture import boxes_from_unit, picture_tensor
from mien.predict.flow import NO_FACE, Flow, Looked, kept_from, too_small
from mien.predict.judged import Task, rows_of_answers
from mien.predict.sources import Picture, Video
from mien.predict.views import View, distinct, is_whole, views_of
from mien.predict.watch import VideoOptions, watch
from mien.schema.inputs import PictureSpec
from mien.schema.prediction import Face, Prediction

MIN_SIDE_PX = 1.0
"""What is smaller than this after clipping to the picture is no box."""

NOT_NUMBERS = Prediction(source="", status="error", detail="The model answered with values that are not numbers.")

Rgb = NDArray[np.uint8]
Tensor = NDArray[np.float32]


class Found(Protocol):
    """The faces of one picture: ``boxes [F, 4]`` in the unit square, ``scores [F]``, ``probabilities [F, C]``."""

    @property
    def boxes(self) -> Tensor: ...

    @property
    def scores(self) -> Tensor: ...

    @property
    def probabilities(self) -> Tensor: ...


class FindingTask(Task, Protocol):
    """What a task of detection offers beside; :class:`mien.tasks.detect.Detect` does."""

    def faces(self, outputs: Mapping[str, NDArray[Any]], /) -> Sequence[Found]:
        """The faces of each picture of a batch."""


@dataclass(slots=True)
class _Views(Looked):
    """A picture or frame whose views wait for the network; the whole of it is a tensor already."""

    whole: Tensor | None = None
    views: Sequence[View] = ()
    pixels: Rgb | None = None
    shape: tuple[int, int] = (0, 0)
    tracker: BoxTracker | None = None
    is_cut: bool = False

    @property
    def waiting(self) -> int:
        return len(self.views)


@dataclass(slots=True)
class _Boxes:
    """Faces of one picture in its pixels."""

    boxes: Tensor
    scores: Tensor
    probabilities: Tensor

    def rows(self, chosen: Sequence[int] | NDArray[np.bool_]) -> "_Boxes":
        return _Boxes(self.boxes[chosen], self.scores[chosen], self.probabilities[chosen])


@dataclass(frozen=True, kw_only=True)
class DetectorPredictor(Flow):
    """A loaded detector: call it with pictures and videos.

    In a row ``face_score`` is the model's score of the box with its best class, the probabilities are the scores of
    all classes as shares of their sum, and ``score`` is the largest share.

    Attributes:
        task: with its ``min_score``, from which on a box is a face.
        spec: how the network wants a picture.
        min_face_px: faces whose box is smaller (shorter side) are reported as ``too_small``, without a label.
        tile_px: side of overlapping tiles that are looked at beside the whole picture, for faces that are too small
            in the whole of it; ``None`` looks at the whole alone.
    """

    task: FindingTask
    spec: PictureSpec
    min_face_px: int
    tile_px: int | None = None

    def _look_at(self, picture: Picture, image: Rgb) -> Looked:
        return self._prepared(picture, image)

    def _frames(self, video: Video, options: VideoOptions) -> Iterator[Looked]:
        tracker, cuts = BoxTracker(), SceneCuts()
        for seen in watch(video, options, None):
            looked = self._prepared(video, seen.frame.image)
            looked.tracker, looked.is_cut = tracker, cuts.is_cut(seen.frame.image, seen.frame.time_s)
            looked.frame, looked.time_s, looked.info = seen.frame.number, seen.frame.time_s, seen.info
            yield looked

    def _prepared(self, source: Picture | Video, image: Rgb) -> _Views:
        height, width = image.shape[:2]
        views = views_of(height, width, self.tile_px)
        return _Views(
            source,
            image,
            whole=picture_tensor(image, self.spec),
            views=views,
            pixels=image if len(views) > 1 else None,
            shape=(height, width),
        )

    def _rows(self, batch: Sequence[Looked]) -> Iterator[list[Prediction]]:
        all_views = [looked for looked in batch if isinstance(looked, _Views)]
        assert len(all_views) == len(batch), batch
        found = self._found(tensor for looked in all_views for tensor in self._tensors(looked))
        for looked in all_views:
            yield self._rows_of(looked, list(islice(found, len(looked.views))))

    def _tensors(self, looked: _Views) -> Iterator[Tensor]:
        """Of the whole picture, then of each tile, made when it is its turn: a large picture has many."""
        assert looked.whole is not None
        yield looked.whole
        for view in looked.views[1:]:
            assert looked.pixels is not None
            yield picture_tensor(view.of(looked.pixels), self.spec)

    def _found(self, tensors: Iterator[Tensor]) -> Iterator[Found | None]:
        """The faces of each input of the network; ``None`` where the answer is no number."""
        while batch := list(islice(tensors, self.batch_size)):
            outputs = self.session(image=np.stack(batch))
            sound = np.ones(len(batch), bool)
            for values in (outputs["pred_logits"], outputs["pred_boxes"]):
                sound &= np.isfinite(values).all(axis=(1, 2))
            for faces, is_sound in zip(self.task.faces(outputs), sound.tolist(), strict=True):
                yield faces if is_sound else None

    def _rows_of(self, looked: _Views, found: Sequence[Found | None]) -> list[Prediction]:
        seen = [one for one in found if one is not None]
        if len(seen) < len(found):
            return [NOT_NUMBERS]
        faces = self._merged(looked, seen)
        answers = rows_of_answers(self.task.judge(faces.probabilities), self.task)
        columns = zip(answers, faces.boxes.tolist(), faces.scores.tolist(), strict=True)
        rows = [self._row(row, Face(box=(x1, y1, x2, y2), score=score)) for row, (x1, y1, x2, y2), score in columns]
        return _numbered(rows, looked) or [NO_FACE]

    def _row(self, row: Prediction, face: Face) -> Prediction:
        if side_px(face) < self.min_face_px:
            small = too_small(face, self.min_face_px)
            row = kept_from(row, small.status, small.detail)
        return replace(row, face=face)

    def _merged(self, looked: _Views, found: Sequence[Found]) -> _Boxes:
        """The faces of all views in pixels of the picture, each once, the surest first."""
        parts, numbers = [], []
        for number, (view, faces) in enumerate(zip(looked.views, found, strict=True)):
            own = _Boxes(self._in_pixels(faces.boxes, view), faces.scores, faces.probabilities)
            own = own.rows(is_whole(own.boxes, view, *looked.shape) & _has_area(own.boxes))
            parts.append(own)
            numbers += [number] * len(own.boxes)
        faces = _Boxes(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
        )
        return faces if len(parts) == 1 else faces.rows(distinct(faces.boxes, faces.scores, numbers))

    def _in_pixels(self, boxes: Tensor, view: View) -> Tensor:
        corners = boxes_from_unit(boxes, view.shape, self.spec)
        return corners + np.array([view.x, view.y, view.x, view.y], np.float32)


def _has_area(boxes: Tensor) -> NDArray[np.bool_]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE_PX).all(axis=1))


def _numbered(rows: list[Prediction], looked: _Views) -> list[Prediction]:
    """In a video by the numbers that the tracker gives; in a picture from left to right, then from top to bottom."""
    faces = [row.face for row in rows if row.face is not None]
    if looked.tracker is not None and looked.time_s is not None:
        numbers = looked.tracker.number(faces, looked.time_s, is_cut=looked.is_cut)
    else:
        order = sorted(range(len(faces)), key=lambda number: faces[number].box[:2])
        numbers = np.argsort(order).tolist()
    numbered = [replace(row, face_id=number) for row, number in zip(rows, numbers, strict=True)]
    return sorted(numbered, key=lambda row: row.face_id if row.face_id is not None else -1)
