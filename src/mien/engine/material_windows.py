"""What a run of frames works on: windows of the labelled frames of videos."""

from collections.abc import Mapping, Sequence

import numpy as np

from mien.data.frame_windows import FrameWindows
from mien.data.moment_faces import locate
from mien.data.moment_input import is_momentary
from mien.data.splits import Labelled
from mien.engine.part import Part, varied
from mien.engine.run import Run
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.inputs import ClipSpec
from mien.schema.labels import LabelSet


def frame_windows(
    run: Run, items: Mapping[str, Sequence[Labelled]], labels: LabelSet, progress: bool
) -> dict[str, Part]:
    """The parts, ready to be loaded; videos without a labelled frame that has a picture are left out.

    Raises:
        ConfigError: if the model does not read windows of frames.
        DatasetError: if the dataset has no labels of frames.
    """
    inputs = run.model.inputs()
    if not isinstance(inputs.get("clip"), ClipSpec) or len(inputs) != 1 or is_momentary(inputs):
        raise ConfigError(
            "The task classify_frames needs a model that answers each frame of a window, such as frame_ensemble; "
            f"{run.architecture!r} reads {', '.join(inputs)}"
        )
    parts = {}
    for name, part in items.items():
        if mute := [item.sample.key for item in part if item.sample.targets.frames is None]:
            raise DatasetError(
                f"The task classify_frames needs labels of single frames, and {run.data.reader!r} has none for "
                f"{len(mute)} of {len(part)} samples, e.g. {mute[0]}"
            )
        whole = run.crop == "whole"
        known = locate([item.sample for item in part], name=run.data.reader, whole=whole, progress=progress)
        loaded = FrameWindows(part, known, inputs, labels, augment=varied(run, name), whole=whole)
        seen = len(np.unique(loaded.windows.owner))
        if not seen:
            raise DatasetError(
                f"No video to {name} has a labelled frame with a picture, of {len(part)} in {run.data.reader!r}"
            )
        parts[name] = Part(loaded, {}, {f"{name}: no labelled frame with a picture": len(part) - seen})
    return parts
