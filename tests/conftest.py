"""What every test may ask for, and the limits that all of them run under."""

import hashlib
import importlib.util
import ipaddress
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis  # noqa: E402
import jaxtyping  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_MAX_BYTES = 50_000
TORCH_PACKAGES = ("torch", "torchvision", "timm", "lightning", "torchmetrics", "tensorboard")

jaxtyping.install_import_hook(["mien.models", "mien.losses"], "beartype.beartype")
hypothesis.settings.register_profile("mien", deadline=None, derandomize=True, max_examples=25, database=None)
hypothesis.settings.load_profile("mien")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write the golden files anew instead of comparing")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--golden"):
        rest = [item for item in items if "golden" not in getattr(item, "fixturenames", ())]
        items[:] = [item for item in items if item not in rest]
        config.hook.pytest_deselected(items=rest)


# Limits


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):  # a Unix socket
        return True
    host = address[0]
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""

    def guarded(connect: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
        def connect_locally(self: socket.socket, address: Any) -> Any:
            if not _is_local(address):
                raise AssertionError(f"a test tried to reach {address!r}; tests run offline")
            return connect(self, address)

        return connect_locally

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
        yield


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for the whole process, so that a graph is compiled once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(request: pytest.FixtureRequest, session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point ``MIEN_CACHE`` away from the user's own cache, except where real data are read: what was prepared stays."""
    if "mien_data" not in request.fixturenames:
        monkeypatch.setenv("MIEN_CACHE", str(session_cache))


# Things to ask for


@pytest.fixture(scope="session")
def mien_data() -> Path:
    """The folder of real data sets; the test is skipped where ``MIEN_DATA`` does not name one."""
    folder = os.environ.get("MIEN_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MIEN_DATA does not name a folder with real data")
    return Path(folder)


@pytest.fixture(scope="session")
def portrait() -> Path:
    """A public-domain photo of one face, 512 x 600 pixels, that every installation has."""
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None and spec.origin is not None  # noqa: PT018
    return Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle with a linear network: 112 pixels, the labels of FERPlus, answers that mean nothing."""
    from onnx import TensorProto, helper, numpy_helper

    from mien.runtime.bundle import Bundle, write_bundle
    from mien.schema.inputs import ImageSpec
    from mien.schema.labels import FERPLUS

    weight = np.random.default_rng(0).normal(0, 0.15, (192, len(FERPLUS))).astype(np.float16)
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[14, 14], strides=[14, 14]),
            helper.make_node("Flatten", ["pooled"], ["colours"]),
            helper.make_node("MatMul", ["colours", "weight"], ["logits"]),
        ],
        "linear",
        [helper.make_tensor_value_info("image", floats, ["batch", 3, 112, 112])],
        [helper.make_tensor_value_info("logits", floats, ["batch", len(FERPLUS)])],
        [numpy_helper.from_array(weight.astype(np.float32), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    bundle = Bundle(
        path=tmp_path_factory.mktemp("bundles") / "tiny",
        name="tiny",
        model="linear",
        model_config={},
        inputs={"image": ImageSpec()},
        labels=FERPLUS,
        task={"name": "classify", "temperature": 1.0, "min_score": 0.0},
        provenance={"recipe": "none", "seed": 0, "commit": "none", "data_fingerprint": "none"},
        licences={"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "none"},
    )
    return write_bundle(bundle, {"weight": weight}, model.SerializeToString()).path


@pytest.fixture(scope="session")
def tiny_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle that answers each of 16 frames, 32 pixels, by its colours and those of its window."""
    from onnx import TensorProto, helper, numpy_helper

    from mien.runtime.bundle import Bundle, write_bundle
    from mien.schema.inputs import ClipSpec
    from mien.schema.labels import AFF_WILD2

    spec = ClipSpec(n_frames=16, segments=1, per_segment=16, stride=16, size_px=32)
    rng, floats, classes = np.random.default_rng(4), TensorProto.FLOAT, len(AFF_WILD2)
    weights = {name: rng.normal(0, 1, (3, classes)).astype(np.float16) for name in ("own", "shared")}
    nodes = [
        helper.make_node("ReduceMean", ["clip", "sides"], ["colours"], keepdims=0),
        helper.make_node("ReduceMean", ["colours", "frames"], ["mean"], keepdims=1),
        helper.make_node("MatMul", ["colours", "own"], ["of_frame"]),
        helper.make_node("MatMul", ["mean", "shared"], ["of_window"]),
        helper.make_node("Add", ["of_frame", "of_window"], ["logits"]),
    ]
    axes = {"sides": np.array([3, 4], np.int64), "frames": np.array([1], np.int64)}
    constants = {**axes, **{name: values.astype(np.float32) for name, values in weights.items()}}
    graph = helper.make_graph(
        nodes,
        "frames",
        [helper.make_tensor_value_info("clip", floats, ["batch", *spec.shape])],
        [helper.make_tensor_value_info("logits", floats, ["batch", 16, classes])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    bundle = Bundle(
        path=tmp_path_factory.mktemp("bundles") / "tiny_frames",
        name="tiny_frames",
        model="linear",
        model_config={},
        inputs={"clip": spec},
        labels=AFF_WILD2,
        task={"name": "classify_frames", "temperature": 1.0, "min_score": 0.0},
        provenance={"recipe": "none", "seed": 0, "commit": "none", "data_fingerprint": "none"},
        licences={"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "none"},
    )
    return write_bundle(bundle, weights, model.SerializeToString()).path


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle that sees whole pictures, 64 pixels, and always finds two faces, of the labels of RAF-DB.

    One lies at a quarter of the square, one at three quarters; both are a quarter wide. Red says surprise.
    """
    from onnx import TensorProto, helper, numpy_helper

    from mien.runtime.bundle import Bundle, write_bundle
    from mien.schema.inputs import PictureSpec
    from mien.schema.labels import RAF_DB

    weight = np.zeros((3, 3 * len(RAF_DB)), np.float16)
    weight[0, [0, 7]] = 8
    bias = np.full(3 * len(RAF_DB), -4, np.float16)
    bias[[0, 8]] = 1
    boxes = np.array([[[0.25, 0.25, 0.25, 0.25], [0.75, 0.75, 0.25, 0.25], [0.5, 0.5, 0.1, 0.1]]], np.float32)
    constants = {
        "weight": weight.astype(np.float32),
        "bias": bias.astype(np.float32),
        "shape": np.array([-1, 3, len(RAF_DB)]),
        "boxes": boxes,
        "nothing": np.zeros((1, len(RAF_DB), 4), np.float32),
    }
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["colour"]),
            helper.make_node("MatMul", ["colour", "weight"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["flat"]),
            helper.make_node("Reshape", ["flat", "shape"], ["pred_logits"]),
            helper.make_node("MatMul", ["pred_logits", "nothing"], ["zero"]),
            helper.make_node("Add", ["zero", "boxes"], ["pred_boxes"]),
        ],
        "two_faces",
        [helper.make_tensor_value_info("image", floats, ["batch", 3, 64, 64])],
        [
            helper.make_tensor_value_info("pred_logits", floats, ["batch", 3, len(RAF_DB)]),
            helper.make_tensor_value_info("pred_boxes", floats, ["batch", 3, 4]),
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    bundle = Bundle(
        path=tmp_path_factory.mktemp("bundles") / "two_faces",
        name="two_faces",
        model="two_faces",
        model_config={},
        inputs={"image": PictureSpec(size_px=64)},
        labels=RAF_DB,
        task={"name": "detect", "min_score": 0.3, "max_faces": 100},
        provenance={"recipe": "none", "seed": 0, "commit": "none", "data_fingerprint": "none"},
        licences={"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "none"},
    )
    return write_bundle(bundle, {"weight": weight}, model.SerializeToString()).path


@pytest.fixture(scope="session")
def tiny_encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of bundles whose output ``feature`` are the means of 12 colour fields, or of 16 bands of sound."""
    from onnx import TensorProto, helper, numpy_helper

    from mien.runtime.bundle import Bundle, write_bundle
    from mien.schema.inputs import ImageSpec, InputSpec, SoundSpec
    from mien.schema.labels import FERPLUS

    specs: dict[str, tuple[str, InputSpec, list[int], int]] = {
        "face": ("image", ImageSpec(size_px=16), [8, 8], 12),
        "sound": ("sound", SoundSpec(n_mels=16), [1, 128], 16),
    }
    made = {}
    for kind, (name, spec, kernel, width) in specs.items():
        weight = np.random.default_rng(0).normal(0, 0.15, (width, len(FERPLUS))).astype(np.float16)
        floats = TensorProto.FLOAT
        graph = helper.make_graph(
            [
                helper.make_node("AveragePool", [name], ["pooled"], kernel_shape=kernel, strides=kernel),
                helper.make_node("Flatten", ["pooled"], ["feature"]),
                helper.make_node("MatMul", ["feature", "weight"], ["logits"]),
            ],
            "encoder",
            [helper.make_tensor_value_info(name, floats, ["batch", *spec.shape])],
            [
                helper.make_tensor_value_info("logits", floats, ["batch", len(FERPLUS)]),
                helper.make_tensor_value_info("feature", floats, ["batch", width]),
            ],
            [numpy_helper.from_array(weight.astype(np.float32), "weight")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        bundle = Bundle(
            path=tmp_path_factory.mktemp("bundles") / f"tiny_{kind}",
            name=f"tiny_{kind}",
            model="linear",
            model_config={},
            inputs={name: spec},
            labels=FERPLUS,
            task={"name": "classify", "temperature": 1.0, "min_score": 0.0},
            provenance={"recipe": "none", "seed": 0, "commit": "none", "data_fingerprint": "none"},
            licences={"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "none"},
        )
        made[kind] = write_bundle(bundle, {"weight": weight}, model.SerializeToString()).path
    return made


_HEAD = {
    "schema_version": 1,
    "encoder": "tiny",
    "weights": "0" * 64,
    "modality": "face",
    "width": 3,
    "step_s": 0.5,
    "start_s": 0.5,
    "preprocessing": {"size_px": 8},
    "source": {"dataset": "drawn", "fingerprint": "abc"},
    "mien": "0",
}


def _write_features(folder: Path, parts: list[Mapping[str, np.ndarray]], **head: object) -> Path:
    import polars

    folder.mkdir(parents=True, exist_ok=True)
    listed = {}
    for number, part in enumerate(parts):
        path = folder / f"part-{number:05d}.parquet"
        width = next(iter(part.values())).shape[1]
        columns = {
            "key": [key for key, rows in part.items() for _ in rows],
            "step": np.concatenate([np.arange(len(rows), dtype=np.int32) for rows in part.values()]),
            "time_s": np.concatenate([0.5 + 0.5 * np.arange(len(rows)) for rows in part.values()]),
            "present": [True] * sum(map(len, part.values())),
            "feature": polars.Series(np.concatenate(list(part.values())), dtype=polars.Array(polars.Float32, width)),
        }
        polars.DataFrame(columns).write_parquet(path)
        listed[path.name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "keys": list(part)}
    (folder / "manifest.json").write_text(json.dumps({**_HEAD, **head, "parts": listed}))
    return folder


@pytest.fixture(scope="session")
def write_features() -> Callable[..., Path]:
    """``write_features(folder, parts, **head)``: a folder as ``mien features`` writes it, rows by key in each part."""
    return _write_features


@pytest.fixture(scope="session")
def make_reaction(tmp_path_factory: pytest.TempPathFactory, tiny_encoders: dict[str, Path]) -> Callable[..., Path]:
    """``make_reaction("av")``: the folder of a bundle of the intensity of seven reactions that carries tiny encoders.

    ``av`` takes both, ``a`` the sound, ``v`` the face; ``steps`` is how many it sees, ``attach=False`` leaves the
    encoders out. The network is linear in the mean over the steps; its answers mean nothing.
    """
    from onnx import TensorProto, helper, numpy_helper

    from mien.deploy.attach import attach_encoders
    from mien.runtime.bundle import Bundle, write_bundle
    from mien.schema.inputs import FeatureSpec
    from mien.schema.labels import HUME_REACTION

    def make(kinds: str = "av", *, steps: int = 30, attach: bool = True) -> Path:
        sizes = {"a": ("sound_features", "sound", 16, 0.02), "v": ("face_features", "face", 12, 0.8)}
        rng, floats, classes = np.random.default_rng(3), TensorProto.FLOAT, len(HUME_REACTION)
        constants: dict[str, Any] = {"axis": np.array([1], np.int64)}
        nodes, sums = [], []
        for name, _, width, scale in (sizes[kind] for kind in kinds):
            constants[f"of_{name}"] = rng.normal(0, scale, (width, classes)).astype(np.float32)
            nodes.append(helper.make_node("ReduceMean", [name, "axis"], [f"mean_{name}"], keepdims=0))
            nodes.append(helper.make_node("MatMul", [f"mean_{name}", f"of_{name}"], [f"sum_{name}"]))
            sums.append(f"sum_{name}")
        nodes += [helper.make_node("Sum", sums, ["sum"]), helper.make_node("Sigmoid", ["sum"], ["intensity"])]
        specs = {sizes[kind][0]: FeatureSpec(width=sizes[kind][2], n_steps=steps) for kind in kinds}
        graph = helper.make_graph(
            nodes,
            "reaction",
            [helper.make_tensor_value_info(name, floats, ["batch", *spec.shape]) for name, spec in specs.items()],
            [helper.make_tensor_value_info("intensity", floats, ["batch", classes])],
            [numpy_helper.from_array(values, name) for name, values in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        bundle = Bundle(
            path=tmp_path_factory.mktemp("bundles") / f"reaction_{kinds}",
            name=f"reaction_{kinds}",
            model="linear",
            model_config={},
            inputs=specs,
            labels=HUME_REACTION,
            task={"name": "regress"},
            provenance={"recipe": "none", "seed": 0, "commit": "none", "data_fingerprint": "none"},
            licences={"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "none"},
        )
        weights = {name: values.astype(np.float16) for name, values in constants.items() if name != "axis"}
        written = write_bundle(bundle, weights, model.SerializeToString())
        if attach:
            attach_encoders(written, {sizes[kind][0]: tiny_encoders[sizes[kind][1]] for kind in kinds})
        return written.path

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def without_torch() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python code in a fresh process that refuses to import torch and all that stands on it.

    ``without_torch(code, *arguments)``; a failing process fails the test with its output.
    """
    blocker = (
        "import sys\n"
        "class _Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {TORCH_PACKAGES}:\n"
        "            raise ModuleNotFoundError(f'{name} is blocked in this process', name=name)\n"
        "sys.meta_path.insert(0, _Refuse())\n"
    )

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", blocker + code, *arguments], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


Golden = Callable[..., None]


def _plain(value: Any) -> Any:
    """Lists, numbers and strings; seven digits of every float."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _assert_same(found: Any, kept: Any, where: str, rtol: float, atol: float) -> None:
    if isinstance(kept, dict):
        assert isinstance(found, dict), f"{where}: a table was expected"
        assert sorted(found) == sorted(kept), f"{where}: other names than in the golden file"
        for key in kept:
            _assert_same(found[key], kept[key], f"{where}.{key}", rtol, atol)
    elif isinstance(kept, int | float | list) and np.asarray(kept).dtype.kind in "if":
        np.testing.assert_allclose(np.asarray(found), np.asarray(kept), rtol=rtol, atol=atol, err_msg=where)
    else:
        assert found == kept, where


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """``golden(name, values, rtol=1e-4, atol=1e-5)``: compare with ``tests/golden/<name>.json``.

    ``values`` is a table of arrays, numbers and strings. ``make golden`` writes the files anew; CHANGELOG.md says why.
    """

    def compare(name: str, values: Mapping[str, Any], *, rtol: float = 1e-4, atol: float = 1e-5) -> None:
        path = GOLDEN / f"{name}.json"
        found = _plain(values)
        if request.config.getoption("--golden"):
            rows = ",\n".join(f"{json.dumps(key)}: {json.dumps(found[key])}" for key in sorted(found))
            assert len(rows) < GOLDEN_MAX_BYTES, f"{path.name} would be larger than {GOLDEN_MAX_BYTES} bytes"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{\n" + rows + "\n}\n")
            return
        assert path.is_file(), f"there is no {path.name} yet; run `make golden` and say why in CHANGELOG.md"
        _assert_same(found, json.loads(path.read_text()), name, rtol, atol)

    return compare
