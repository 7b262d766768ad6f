"""A bundle that is fed features takes the encoders along that make them, so that it can be used on videos."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

from mien.predict.bundle_encoder import bundle_encoder
from mien.runtime.bundle import CARD, CONFIG, ENCODERS, GRAPH, WEIGHTS, Bundle, read_bundle, revise_bundle
from mien.schema.errors import BundleError
from mien.schema.inputs import FeatureSpec


def attach_encoders(bundle: Bundle, encoders: Mapping[str, Path]) -> Bundle:
    """Copy encoders into a bundle and note them in its description and on its card.

    Args:
        bundle: on the disk; encoders of other inputs stay.
        encoders: folder of the bundle that makes an input, by name of the input.

    Raises:
        BundleError: if an input is no sequence of features, or one around moments, an encoder is damaged or makes
            features of another width, or the bundle cannot be written.
    """
    found = {name: _checked(bundle, name, read_bundle(folder)) for name, folder in encoders.items()}
    try:
        for name, encoder in found.items():
            _copy(encoder, bundle.encoder_path(name))
    except OSError as error:
        raise BundleError(f"Encoders cannot be written to {bundle.path / ENCODERS}: {error}") from error
    known = {name: {"name": one.name, "weights": one.files[WEIGHTS]["sha256"]} for name, one in found.items()}
    return revise_bundle(bundle, encoders={**bundle.encoders, **known})


def _checked(bundle: Bundle, name: str, encoder: Bundle) -> Bundle:
    spec = bundle.inputs.get(name)
    if not isinstance(spec, FeatureSpec):
        fed = [key for key, one in bundle.inputs.items() if isinstance(one, FeatureSpec)]
        raise BundleError(f"{bundle.name} has no features {name!r}; it is fed these: {', '.join(fed) or 'none'}")
    if spec.around_moment:
        raise BundleError(
            f"{bundle.name} is told of {name!r} that were computed before, frame by frame; it reads no videos and "
            "needs no encoder. Give its features to `mien evaluate --features`."
        )
    width = bundle_encoder(encoder).width
    if width != spec.width:
        raise BundleError(
            f"{encoder.name} makes {width} numbers a step, and {bundle.name} takes {spec.width} as {name!r}; attach "
            "the encoder with which it was trained"
        )
    return encoder


def _copy(encoder: Bundle, folder: Path) -> None:
    """All of an encoder's files, put in place when all are there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name in (WEIGHTS, GRAPH, CONFIG, CARD):
            shutil.copyfile(encoder.path / name, part / name)
        part.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
