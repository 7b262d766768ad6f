"""What one or several models answer for a whole split, in one file from which a student learns.

    python -m mien.deploy.teach runs/long/seed1/bundle runs/long/seed2/bundle --dataset ferplus --split train \
        --out runs/teacher.npz

Every sample of the split is answered for, whatever its label, as it is and mirrored. Probabilities are those of the
models at their own temperatures, averaged.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.data.readers import READERS, read_dataset
from mien.data.splits import data_fingerprint
from mien.data.teacher import Teacher, TeacherHead, write_teacher
from mien.engine.ensemble import answers_of, as_one, averaged, members_of
from mien.engine.measure import Answers, Crop
from mien.metrics.calibration import softmax
from mien.runtime.bundle import WEIGHTS, Bundle
from mien.runtime.session import RUNTIMES, Arrays, Session, open_session
from mien.schema.errors import BundleError, DatasetError, MienError
from mien.schema.sample import Sample


def teach(
    models: Sequence[Bundle | str | Path],
    dataset: str,
    *,
    out: Path,
    root: Path | None = None,
    split: str = "train",
    runtime: str = "openvino",
    device: str = "cpu",
    crop: Crop = "face",
    mirror: bool = True,
    symmetric: bool = False,
    progress: bool = True,
) -> Teacher:
    """Write what models answer for the faces of a split, on average.

    Args:
        models: bundles, their folders or names; classifiers of single faces with the same labels.
        dataset: name in ``READERS``.
        out: the file.
        root: root of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        split: as the dataset names it.
        runtime: ``openvino``, ``onnx`` or ``torch``.
        device: as in :func:`mien.runtime.session.open_session`.
        crop: ``whole`` for models that were trained on pictures as they are.
        mirror: answer for the mirrored faces too.
        symmetric: give a face and its mirror image one answer, the mean of both; a mirrored face shows the same.
        progress: whether to show bars.

    Raises:
        BundleError: if the models are no classifiers of single faces with the same labels.
        DatasetError: if the split has no samples, or the file cannot be written.
    """
    members = members_of(models[0], models[1:])
    labels = members[0].labels
    for member in members:
        member.image_spec()
        if labels is None or member.task.get("name") != "classify":
            raise BundleError(f"A teacher names classes; {member.name} does {member.task.get('name')!r}")
    assert labels is not None
    every = read_dataset(dataset, root)
    samples = [sample for sample in every if sample.split == split]
    if not samples:
        known = ", ".join(dict.fromkeys(sample.split for sample in every))
        raise DatasetError(f"{READERS[dataset].title} has no split {split!r}; it has: {known}")

    def seen(*, mirrored: bool) -> NDArray[np.float32]:
        sessions = (open_session(member, runtime, device) for member in members)
        how = {"dataset": dataset, "crop": crop, "progress": progress}
        return probabilities(members, (Mirrored(s) if mirrored else s for s in sessions), samples, **how)

    plain, other = seen(mirrored=False), seen(mirrored=True) if mirror or symmetric else None
    teacher = Teacher(
        head=TeacherHead(
            labels=labels.names,
            bundles=tuple(f"{member.name}@{member.files[WEIGHTS]['sha256']}" for member in members),
            dataset=dataset,
            split=split,
            fingerprint=data_fingerprint(every),
            crop=crop,
            mien=__version__,
            symmetric=symmetric,
        ),
        keys=tuple(sample.key for sample in samples),
        probabilities=np.float32(0.5) * (plain + other) if symmetric and other is not None else plain,
        mirrored=None if symmetric else other,
    )
    write_teacher(teacher, out)
    return teacher


class Mirrored:
    """A session that sees every picture mirrored left and right."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.inputs, self.outputs = session.inputs, session.outputs

    def __call__(self, **arrays: NDArray[Any]) -> Arrays:
        return self._session(**{name: np.ascontiguousarray(array[..., ::-1]) for name, array in arrays.items()})


def probabilities(
    members: Sequence[Bundle], sessions: Iterable[Session], samples: Sequence[Sample], **how: Any
) -> NDArray[np.float32]:
    """Mean probabilities, ``float32 [N, C]``, in the order of the samples.

    Args:
        members: the models.
        sessions: one of each, in their order; the next is asked for when the one before has answered.
        samples: without repetition.
        how: as in :func:`mien.engine.measure.answer`.
    """
    answers = (answers_of(member, session, samples, **how) for member, session in zip(members, sessions, strict=True))
    found: Answers = averaged(members, answers)
    temperature = float(as_one(members).task["temperature"])
    return softmax(found.of(samples).outputs["logits"], temperature).astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a teacher's answers from the shell."""
    parser = argparse.ArgumentParser(prog="python -m mien.deploy.teach", description="Write a teacher's answers.")
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE", help="folder or name; several are averaged")
    parser.add_argument("--dataset", required=True, choices=sorted(READERS), help="whose faces are answered for")
    parser.add_argument("--data", type=Path, help="root of the dataset")
    parser.add_argument("--split", default="train", help="as the dataset names it")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file, FILE.npz")
    parser.add_argument("--runtime", default="openvino", choices=RUNTIMES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--crop", default="face", choices=get_args(Crop))
    parser.add_argument("--no-mirror", action="store_false", dest="mirror", help="leave out the mirrored faces")
    parser.add_argument(
        "--symmetric", action="store_true", help="one answer for a face and its mirror image, the mean of both"
    )
    given = parser.parse_args(arguments)
    names = ("split", "out", "runtime", "device", "crop", "mirror", "symmetric")
    how = {name: getattr(given, name) for name in names}
    try:
        teacher = teach(given.bundles, given.dataset, root=given.data, **how)
    except MienError as error:
        parser.exit(2, f"{type(error).__name__}: {error}\n")
    parser.exit(0, f"{given.out}: {len(teacher.keys)} faces, {len(teacher.head.bundles)} models\n")


if __name__ == "__main__":
    raise SystemExit(main())
