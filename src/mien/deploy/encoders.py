"""The door to encoders: public networks by name, trained bundles by name or folder. No torch but for public ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mien.predict.bundle_encoder import bundle_encoder
from mien.predict.encode import Encoder
from mien.runtime.bundle import find_bundle, list_bundles
from mien.schema.errors import BundleError, ConfigError, MissingExtraError
from mien.schema.tables import resolve, unknown_name

ENCODERS: Mapping[str, str] = MappingProxyType(
    {
        "deepspectrum": "mien.deploy.public_encoders:deepspectrum",
        "irv1_casia": "mien.deploy.public_encoders:irv1_casia",
        "irv1_vggface2": "mien.deploy.public_encoders:irv1_vggface2",
        "poster_vit": "mien.deploy.public_encoders:poster_vit",
        "regnety_016": "mien.deploy.public_encoders:regnety_016",
    }
)
"""Public networks, filled with the weights that their authors publish."""


def open_encoder(
    name: str | Path, *, weights: Sequence[Path] = (), random: bool = False, device: str = "cpu"
) -> Encoder:
    """An encoder by name.

    Args:
        name: in ``ENCODERS``, or the name or folder of a bundle that has a feature.
        weights: files of a public network.
        random: take random weights for a public network, always the same ones; for trying things out.
        device: ``cpu``; ``cuda``, ``cuda:1`` or ``mps``.

    Raises:
        ConfigError: if there is no such encoder, or its weights are not said or said twice.
        BundleError: if a bundle is damaged or has no feature, or weights do not fit.
        MissingExtraError: if a public network is asked for and torch is not installed.
    """
    if str(name) not in ENCODERS:
        return _bundle(name, weights, random, device)
    if random and weights:
        raise ConfigError(f"{name} was given weights and --random as well; leave out one of them")
    if not random and not weights:
        raise ConfigError(
            f"{name} is a public network whose weights mien does not bring: name them with --weights, as "
            "docs/how-to/extract-features.md says. --random takes random ones, to try things out; their features "
            "mean nothing."
        )
    if missing := [path for path in weights if not path.is_file()]:
        raise ConfigError(f"There is no file {str(missing[0])!r}; give the weights of {name} with --weights")
    try:
        make = resolve(ENCODERS[str(name)])
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "mien"):
            raise
        raise MissingExtraError(package, "train", f"The encoder {name}") from error
    encoder: Encoder = make(tuple(weights), device)
    return encoder


def _bundle(name: str | Path, weights: Sequence[Path], random: bool, device: str) -> Encoder:
    if not Path(name).is_dir() and str(name) not in list_bundles() and len(Path(name).parts) == 1:
        known = {**dict.fromkeys(list_bundles(), ""), **ENCODERS}
        raise ConfigError(f"{unknown_name(str(name), known, 'encoder')} The folder of a bundle can be given too.")
    bundle = find_bundle(name)
    if weights or random:
        raise ConfigError(f"{bundle.name} brings its own weights; leave out --weights and --random")
    try:
        return bundle_encoder(bundle, device=device)
    except BundleError as error:
        raise BundleError(f"{error} Public encoders: {', '.join(ENCODERS)}.") from error
