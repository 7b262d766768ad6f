"""Which features a network was trained on, and whether those that it is given are of the same encoder.

A network is fed sequences from the start of a clip on, or told of a face at moments.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.data.feature_tables import MANIFEST, RANDOM, FeatureStore
from mien.runtime.bundle import Bundle
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import FeatureSpec, InputSpec
from mien.schema.sample import FeatureTable, Sample

Chosen = Sequence[tuple[str, str]]
"""For each input the name of a set of features inside the dataset, or a folder that ``mien features`` wrote, or, of a
face at moments, one with NumPy files."""

ARRAYS, UNKNOWN = "NumPy files", "unknown"
"""What stands for the encoder and its weights where files do not tell."""


def check_features(model: str, inputs: Mapping[str, InputSpec], chosen: Chosen) -> None:
    """Refuse a choice that does not say of each input, once, where its features are.

    Raises:
        ConfigError: if a network takes something else than features, or one is missing or named twice.
    """
    if others := [name for name, spec in inputs.items() if not isinstance(spec, FeatureSpec)]:
        raise ConfigError(f"The task regress needs a model that reads features; {model!r} reads {', '.join(others)}")
    names = _named_once(chosen)
    if missing := [name for name in inputs if name not in names]:
        raise ConfigError(
            f"{model!r} reads {' and '.join(inputs)}; name for each a folder of `mien features` or a set of features "
            f"of the dataset, as {missing[0]}=DIR. Missing: {', '.join(missing)}"
        )


def told_inputs(inputs: Mapping[str, InputSpec]) -> list[str]:
    """Names of the inputs of a network that are features around moments."""
    return [name for name, spec in inputs.items() if isinstance(spec, FeatureSpec) and spec.around_moment]


def check_told(model: str, inputs: Mapping[str, InputSpec], chosen: Chosen) -> None:
    """Refuse a choice that does not say where the features are of which a network is told at moments, and no others.

    Raises:
        ConfigError: if they are missing or named twice, or others are named.
    """
    names, told = _named_once(chosen), told_inputs(inputs)
    if set(names) != set(told):
        raise ConfigError(
            f"{model!r} is told of a face by {' and '.join(told)}; name a folder of it that `mien features` wrote, or "
            f"one with <key>.npy for each clip, as {told[0]}=DIR. Given: {', '.join(names) or 'none'}"
        )


def describe_folder(folder: str, store: FeatureStore) -> dict[str, Any]:
    """What the features in a folder are, as in :func:`describe`; NumPy files do not tell their encoder."""
    if not (Path(folder) / MANIFEST).is_file():
        return {"from": folder, "encoder": ARRAYS, "weights": UNKNOWN}
    manifest = store.tables(Path(folder)).manifest
    return {
        "from": folder,
        "encoder": manifest.encoder,
        "weights": manifest.weights,
        "fingerprint": manifest.fingerprint,
    }


def describe(chosen: Chosen, samples: Iterable[Sample], store: FeatureStore) -> dict[str, dict[str, Any]]:
    """What the features are, by name of the input: ``from``, and of a folder ``encoder``, ``weights`` (their sha256)
    and ``fingerprint``.

    Args:
        chosen: which they are.
        samples: that have them under these names.
        store: opens the folders.
    """
    first = next(iter(samples), None)
    known = dict(first.features) if first is not None else {}
    described: dict[str, dict[str, Any]] = {}
    for name, which in chosen:
        is_folder = isinstance(known.get(name), FeatureTable)
        described[name] = describe_folder(which, store) if is_folder else {"from": which}
    return described


def trained_on(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """What :func:`describe` told when a bundle was trained."""
    told: Mapping[str, Mapping[str, Any]] = bundle.provenance.get("features", {})
    return {name: dict(one) for name, one in told.items()}


def allows_random(bundle: Bundle) -> bool:
    """Whether a bundle was trained on features of an encoder that was never trained itself."""
    return any(one.get("weights") == RANDOM for one in trained_on(bundle).values())


def chosen_of(bundle: Bundle, given: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Where the features for a bundle are: as given, else where those of its training were.

    Args:
        bundle: that reads features.
        given: folder or set by name of the input; of inputs that the bundle does not have they are left out.

    Raises:
        ConfigError: if an input is missing.
    """
    told = {name: str(one["from"]) for name, one in trained_on(bundle).items()}
    chosen = {name: which for name, which in given.items() if name in bundle.inputs} if given else told
    check = check_told if told_inputs(bundle.inputs) else check_features
    check(bundle.name, bundle.inputs, tuple(chosen.items()))
    return tuple(chosen.items())


def check_encoders(bundle: Bundle, described: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse features of another encoder than that on whose features a bundle was trained.

    Raises:
        BundleError: if the encoder, its weights or the set of the dataset is another one; the message names both.
    """
    told = trained_on(bundle)
    for name, now in described.items():
        if name in told and _encoder(now) != _encoder(told[name]):
            raise BundleError(
                f"{bundle.name} was trained on {name} of {_named(told[name])}; {now['from']} has those of "
                f"{_named(now)}. Give features of the encoder that it was trained with."
            )


def _named_once(chosen: Chosen) -> list[str]:
    names = [name for name, _ in chosen]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ConfigError(f"The features {twice[0]!r} are named twice; name one folder or set of the dataset")
    return names


def _encoder(one: Mapping[str, Any]) -> tuple[str, str]:
    """Name and weights; of a set of the dataset its name."""
    return (str(one["encoder"]), str(one["weights"])) if "encoder" in one else ("", str(one["from"]))


def _named(one: Mapping[str, Any]) -> str:
    if "encoder" not in one:
        return f"the set {one['from']} of a dataset"
    weights = str(one["weights"])
    if weights == UNKNOWN:
        return str(one["encoder"])
    return f"the encoder {one['encoder']}@{weights if weights == RANDOM else weights[:12]}"
