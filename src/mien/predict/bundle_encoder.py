"""A trained bundle as an encoder: any that says what its classifier reads, of single faces or of sound."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.predict.encode import Encoder, Modality
from mien.predict.pipeline import runtime_for
from mien.predict.senses import Ear, Eye, WindowEar
from mien.runtime.bundle import WEIGHTS, Bundle
from mien.runtime.session import Precision, Session, open_session
from mien.schema.errors import BundleError
from mien.schema.inputs import FlagSpec, ImageSpec, SoundSpec

FEATURES = ("feature", "voice_feature")
"""Names of outputs that are features; the first one that a graph has is taken."""

BATCH: Mapping[Modality, int] = {"face": 32, "sound": 16}


def bundle_encoder(
    bundle: Bundle, *, device: str = "cpu", precision: Precision = "fp32", threads: int | None = None
) -> Encoder:
    """A bundle that turns faces or sounds into features.

    A network of face, or of its features, and voice listens alone: it is told that there is no face.

    Args:
        bundle: read and verified.
        device: as in :func:`mien.predict.pipeline.load`.
        precision: as there.
        threads: cores to use; by default all.

    Raises:
        BundleError: if it reads anything else, or has no such output.
        ConfigError: if the device cannot be used.
    """
    name, sense = _sense(bundle)
    session = open_session(bundle, runtime_for(device), device, precision=precision, threads=threads)
    output = _output(bundle, name, session.outputs)

    def run(tensors: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(session(**_filled(bundle, name, tensors))[output], np.float32)

    modality: Modality = "face" if isinstance(sense, Eye) else "sound"
    return Encoder(
        name=bundle.name,
        weights=str(bundle.files[WEIGHTS]["sha256"]),
        modality=modality,
        width=_width(session, bundle, name, output),
        sense=sense,
        run=run,
        batch_size=BATCH[modality],
    )


def _sense(bundle: Bundle) -> tuple[str, Eye | Ear]:
    """The input that is fed, and what makes it."""
    image, sound = bundle.inputs.get("image"), bundle.inputs.get("sound")
    if isinstance(image, ImageSpec) and len(bundle.inputs) == 1:
        return "image", Eye(spec=image)
    faces = {"clip", "face_features"} & bundle.inputs.keys()
    others = bundle.inputs.keys() - faces - {"sound", "has_sound", "has_face"}
    if isinstance(sound, SoundSpec) and not others and (not faces or "has_face" in bundle.inputs):
        return "sound", WindowEar(spec=sound)
    raise BundleError(
        f"{bundle.name} is fed {', '.join(bundle.inputs)}; an encoder reads single faces (image), or sound with or "
        "without a face beside it. `mien models list` shows what is installed."
    )


def _output(bundle: Bundle, name: str, outputs: tuple[str, ...]) -> str:
    found = [one for one in FEATURES if one in outputs and (one == "feature" or name == "sound")]
    if not found:
        raise BundleError(
            f"{bundle.name} answers {', '.join(outputs)} and no feature; export it anew with a version of mien whose "
            f"{bundle.model} has one, or give another encoder."
        )
    return found[-1] if len(bundle.inputs) > 1 else found[0]


def _filled(bundle: Bundle, name: str, tensors: NDArray[np.float32]) -> dict[str, Any]:
    """All inputs: zeros for a face that is not there."""
    others = {other: np.zeros((len(tensors), *spec.shape), np.float32) for other, spec in bundle.inputs.items()}
    if isinstance(bundle.inputs.get("has_sound"), FlagSpec):
        others["has_sound"] += 1
    return {**others, name: tensors}


def _width(session: Session, bundle: Bundle, name: str, output: str) -> int:
    blank = np.zeros((1, *bundle.inputs[name].shape), np.float32)
    said = session(**_filled(bundle, name, blank))[output]
    if said.ndim != 2:
        raise BundleError(f"The output {output!r} of {bundle.name} has the shape {said.shape}, not a row a step.")
    return int(said.shape[1])
