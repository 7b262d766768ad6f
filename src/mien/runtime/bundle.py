"""The folder that a trained model is.

model.safetensors   the weights, float16
model.onnx          the graph with the same weights, which OpenVINO or ONNX Runtime run without torch
config.json         what the model is, eats, answers and came from, and the sha256 of both
README.md           the card, drawn from config.json
encoders/<input>/   of a network that is fed features, the bundle that makes them, if it is carried along
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files as package_files
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.runtime.cache import atomic_path, cache_dir
from mien.runtime.card import render_card
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import ImageSpec, InputSpec, PictureSpec, specs_from_json, specs_hash, specs_to_json
from mien.schema.labels import LabelSet
from mien.schema.tables import unknown_name

SCHEMA_VERSION = 1
WEIGHTS, GRAPH, CONFIG, CARD = "model.safetensors", "model.onnx", "config.json", "README.md"
ENCODERS = "encoders"
INT8 = "8 bits"
"""How ``provenance["graph"]`` begins if the graph computes in 8 bits."""
LICENCES = ("code", "weights", "training_data")
PROVENANCE = ("recipe", "seed", "commit", "data_fingerprint")
_FIELDS = ("name", "model", "model_config", "inputs", "inputs_hash", "labels", "task", "provenance", "licences")
_KNOWN = {"schema_version", *_FIELDS, "figures", "files"}
_OPTIONAL = {"encoders"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A trained model, as its ``config.json`` describes it.

    Attributes:
        path: the folder.
        name: the bundle's own name.
        model: name in ``MODELS``.
        model_config: fields of the model's configuration; sequences are tuples.
        inputs: what each input of the network is fed.
        labels: the classes, for a model that has some.
        task: ``name`` in ``TASKS`` and its fields, such as the temperature.
        provenance: at least ``recipe``, ``seed``, ``commit`` and ``data_fingerprint``.
        licences: of ``code``, ``weights`` and ``training_data``.
        figures: what was measured, as on the card.
        files: sha256 and bytes of the weights and the graph.
        encoders: of inputs that are features, ``name`` and ``weights`` (sha256) of the bundle that makes them and that
            lies in ``encoders/<input>``; empty if none is carried along.
    """

    path: Path
    name: str
    model: str
    model_config: Mapping[str, Any]
    inputs: Mapping[str, InputSpec]
    labels: LabelSet | None
    task: Mapping[str, Any]
    provenance: Mapping[str, Any]
    licences: Mapping[str, str]
    figures: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def weights_path(self) -> Path:
        return self.path / WEIGHTS

    @property
    def graph_path(self) -> Path:
        return self.path / GRAPH

    @property
    def hash12(self) -> str:
        """First twelve digits of the sha256 of the weights."""
        return str(self.files[WEIGHTS]["sha256"])[:12]

    def computes_in(self, runtime: str, precision: str) -> str:
        """How ``runtime`` computes when it is asked for ``precision``: that, or ``int8``, in which a graph may be.

        torch has no graph, it computes with the weights.
        """
        if runtime == "torch" or not str(self.provenance.get("graph", "")).startswith(INT8):
            return precision
        return "int8" if precision == "fp32" else f"int8+{precision}"

    def encoder_path(self, name: str) -> Path:
        """Folder of the encoder of an input."""
        return self.path / ENCODERS / name

    def weights(self) -> dict[str, NDArray[Any]]:
        """The weights by name, float16 (integers as they are)."""
        from safetensors.numpy import load_file

        return load_file(self.weights_path)

    def image_spec(self) -> ImageSpec:
        """The input of a network that sees single faces.

        Raises:
            BundleError: if it is fed anything else.
        """
        spec = self.inputs.get("image")
        if len(self.inputs) != 1 or not isinstance(spec, ImageSpec):
            fed = "whole pictures" if isinstance(spec, PictureSpec) else ", ".join(self.inputs)
            raise BundleError(f"{self.name} is fed {fed}; this needs a model of single face images")
        return spec

    def picture_spec(self) -> PictureSpec:
        """The input of a network that sees whole pictures.

        Raises:
            BundleError: if it is fed anything else.
        """
        spec = self.inputs.get("image")
        if len(self.inputs) != 1 or not isinstance(spec, PictureSpec):
            raise BundleError(f"{self.name} is fed {', '.join(self.inputs)}; this needs a model of whole pictures")
        return spec

    def check_inputs(self, specs: Mapping[str, InputSpec], *, cut_otherwise: bool = False) -> None:
        """Refuse a preprocessing that is not the one the weights were trained with.

        Args:
            specs: the preprocessing.
            cut_otherwise: faces may be cut out otherwise (``crop``, ``source_px``), for weights that train on or teach.

        Raises:
            BundleError: if any other field of any input differs; the message names them.
        """
        own, given = _flat(specs_to_json(self.inputs)), _flat(specs_to_json(specs))
        differ = [key for key in sorted(own | given) if own.get(key) != given.get(key)]
        if cut_otherwise:
            differ = [key for key in differ if ".crop." not in key and not key.endswith(".source_px")]
        if not differ:
            return
        listed = "; ".join(f"{key}: {own.get(key)!r} in the bundle, {given.get(key)!r} given" for key in differ)
        raise BundleError(f"{self.name} was trained on other inputs than it is given. {listed}")


def write_bundle(bundle: Bundle, weights: Mapping[str, NDArray[Any]], graph: bytes) -> Bundle:
    """Write a bundle to ``bundle.path`` with its card; whatever stood there is replaced when all is written.

    Args:
        bundle: its ``files`` are filled in here; it carries no encoder yet.
        weights: by name of the parameter or buffer.
        graph: the ONNX model.

    Raises:
        BundleError: if a licence or a part of the provenance is missing, or the folder cannot be written.
    """
    from safetensors.numpy import save

    _require(bundle)
    tensors = {name: np.ascontiguousarray(values) for name, values in sorted(weights.items())}
    contents = {WEIGHTS: save(tensors), GRAPH: graph}
    described = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in contents.items()
    }
    written = replace(bundle, files=described, encoders={})
    try:
        bundle.path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(mkdtemp(prefix=f".{bundle.path.name}.", dir=bundle.path.parent))
        try:
            for name, data in contents.items():
                (part / name).write_bytes(data)
            _write_texts(part, written)
            part.chmod(0o755)
            _put_in_place(part, bundle.path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise BundleError(f"The bundle cannot be written to {bundle.path}: {error}") from error
    return read_bundle(bundle.path)


def revise_bundle(
    bundle: Bundle,
    *,
    name: str | None = None,
    task: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    figures: Mapping[str, Any] | None = None,
    encoders: Mapping[str, Mapping[str, Any]] | None = None,
) -> Bundle:
    """Replace name, settings, figures or encoders of a bundle on the disk and draw its card anew; the weights stay."""
    revised = replace(
        bundle,
        name=name or bundle.name,
        task=task if task is not None else bundle.task,
        provenance=provenance if provenance is not None else bundle.provenance,
        figures=figures if figures is not None else bundle.figures,
        encoders=encoders if encoders is not None else bundle.encoders,
    )
    _require(revised)
    try:
        _write_texts(bundle.path, revised)
    except OSError as error:
        raise BundleError(f"The bundle {bundle.path} cannot be changed: {error}") from error
    return read_bundle(bundle.path)


def read_bundle(path: Path) -> Bundle:
    """Read and verify a bundle.

    Args:
        path: its folder, or the folder of a run that has it under ``bundle/``.

    Raises:
        BundleError: if a file is missing or altered, or the description is of another version.
    """
    folder = path if (path / CONFIG).is_file() or not (path / "bundle" / CONFIG).is_file() else path / "bundle"
    bundle = _parse(folder, _read_config(folder))
    verify_bundle(bundle)
    return bundle


def verify_bundle(bundle: Bundle) -> None:
    """Compare the files with the digests in ``config.json``, also those of the encoders that are carried along.

    Raises:
        BundleError: if one is missing or differs.
    """
    for name, recorded in bundle.encoders.items():
        found = read_bundle(bundle.encoder_path(name))
        if (found.name, found.files[WEIGHTS]["sha256"]) != (recorded["name"], recorded["weights"]):
            raise BundleError(
                f"{found.path} is the encoder {found.name}@{found.hash12}, not the one with which {bundle.name} was "
                f"written: {recorded['name']}@{recorded['weights'][:12]}. {_AGAIN}"
            )
    for name in (WEIGHTS, GRAPH):
        recorded = bundle.files.get(name, {})
        try:
            data = (bundle.path / name).read_bytes()
        except OSError as error:
            raise BundleError(f"{bundle.path} is incomplete: {name} cannot be read ({error}). {_AGAIN}") from error
        if hashlib.sha256(data).hexdigest() != recorded.get("sha256"):
            raise BundleError(
                f"{bundle.path / name} is not the file that was written ({len(data)} bytes, "
                f"recorded: {recorded.get('bytes')}); its sha256 differs from {CONFIG}. {_AGAIN}"
            )


def list_bundles() -> dict[str, Path]:
    """Folders of the bundles that can be used by name: those of the package, then those in the cache."""
    found: dict[str, Path] = {}
    for room in _rooms():
        if room.is_dir():
            folders = sorted(folder for folder in room.iterdir() if (folder / CONFIG).is_file())
            found |= {folder.name: folder for folder in folders if folder.name not in found}
    return found


def find_bundle(name_or_path: str | Path) -> Bundle:
    """The bundle in a folder, or of a name in :func:`list_bundles`.

    Raises:
        BundleError: if there is none, or it fails verification.
    """
    path = Path(name_or_path)
    if path.is_dir():
        return read_bundle(path)
    named = list_bundles()
    if str(name_or_path) in named:
        return read_bundle(named[str(name_or_path)])
    if len(path.parts) > 1:
        raise BundleError(f"There is no folder {path}; give a bundle's folder or one of: {', '.join(named) or 'none'}")
    reason = unknown_name(str(name_or_path), named, "model") if named else "No model is installed."
    raise BundleError(f"{reason} The folder of a bundle can be given too.")


_AGAIN = "Fetch or export the bundle again."


def _rooms() -> tuple[Path, ...]:
    return Path(str(package_files("mien"))) / "weights", cache_dir() / "bundles"


def _require(bundle: Bundle) -> None:
    for kind, names, given in (
        ("licences", LICENCES, bundle.licences),
        ("provenance", PROVENANCE, bundle.provenance),
    ):
        missing = [name for name in names if given.get(name) in (None, "")]
        if missing:
            raise BundleError(f"A bundle states its {kind}: {', '.join(names)}; missing: {', '.join(missing)}")


def _write_texts(folder: Path, bundle: Bundle) -> None:
    for name, text in ((CONFIG, json.dumps(_to_json(bundle), indent=2) + "\n"), (CARD, render_card(bundle))):
        with atomic_path(folder / name) as part:
            part.write_text(text, encoding="utf-8")
            part.chmod(0o644)


def _put_in_place(part: Path, folder: Path) -> None:
    if not folder.exists():
        part.rename(folder)
        return
    old = folder.with_name(f"{part.name}.old")
    folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old)


def _to_json(bundle: Bundle) -> dict[str, Any]:
    labels = bundle.labels
    return {
        "schema_version": SCHEMA_VERSION,
        "name": bundle.name,
        "model": bundle.model,
        "model_config": dict(bundle.model_config),
        "inputs": specs_to_json(bundle.inputs),
        "inputs_hash": specs_hash(bundle.inputs),
        "labels": labels and {"id": labels.id, "names": labels.names, "source": labels.source},
        "task": dict(bundle.task),
        "provenance": dict(bundle.provenance),
        "licences": dict(bundle.licences),
        "figures": dict(bundle.figures),
        "files": {name: dict(described) for name, described in bundle.files.items()},
        **({"encoders": {name: dict(one) for name, one in bundle.encoders.items()}} if bundle.encoders else {}),
    }


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(f"{folder} is not a bundle: it has no {CONFIG}.") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder / CONFIG} cannot be read ({error}). {_AGAIN}") from error
    version = config.get("schema_version") if isinstance(config, dict) else None
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{folder} is a bundle of version {version!r}; this mien reads version {SCHEMA_VERSION}. "
            + ("Update mien." if isinstance(version, int) and version > SCHEMA_VERSION else _AGAIN)
        )
    missing, unknown = sorted({*_KNOWN} - {*config}), sorted({*config} - _KNOWN - _OPTIONAL)
    if missing or unknown:
        raise BundleError(f"{folder / CONFIG} does not fit: missing {missing}, unknown {unknown}. {_AGAIN}")
    return dict(config)


def _parse(folder: Path, config: Mapping[str, Any]) -> Bundle:
    try:
        inputs = specs_from_json(config["inputs"])
        labels = config["labels"] and LabelSet(**{**config["labels"], "names": tuple(config["labels"]["names"])})
        bundle = Bundle(
            path=folder,
            inputs=inputs,
            labels=labels,
            model_config=_tuples(config["model_config"]),
            encoders=_encoders(config.get("encoders", {}), inputs),
            **{name: config[name] for name in ("name", "model", "task", "provenance", "licences", "figures", "files")},
        )
    except (ConfigError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{folder / CONFIG} cannot be understood ({error}). {_AGAIN}") from error
    if specs_hash(inputs) != config["inputs_hash"]:
        raise BundleError(
            f"{folder / CONFIG} states inputs whose hash is {specs_hash(inputs)}, recorded: {config['inputs_hash']}; "
            f"they were altered after training. {_AGAIN}"
        )
    return bundle


def _encoders(given: Mapping[str, Any], inputs: Mapping[str, InputSpec]) -> dict[str, dict[str, str]]:
    """Checked as far as their names: they become folders."""
    if unknown := sorted(given.keys() - inputs.keys()):
        raise ConfigError(f"it carries an encoder of {unknown[0]!r}, which is no input")
    return {name: {"name": str(one["name"]), "weights": str(one["weights"])} for name, one in given.items()}


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}.{key}" if prefix else str(key))
    return flat
