from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from mien.runtime.bundle import Bundle
from mien.runtime.cache import cache_dir
from mien.runtime.session import OnnxSession, OpenVINOSession, Session, check_arrays, open_session
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import ImageSpec

WEIGHT = np.arange(9, dtype=np.float32).reshape(3, 3)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 3, 8, 8), dtype=np.float32)


def expected(image: np.ndarray) -> np.ndarray:
    return image.mean((2, 3)) @ WEIGHT


@pytest.mark.parametrize("kind", [OpenVINOSession, OnnxSession])
@pytest.mark.parametrize("as_file", [False, True])
def test_sessions_compute_the_graph_for_any_batch(
    kind: Callable[..., Session], as_file: bool, graph: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(graph)
    session = kind(path if as_file else graph, threads=1)
    assert (session.inputs, session.outputs) == (("image",), ("logits",))
    for count in (1, 4, 0, 3):
        image = pictures(count)
        assert np.allclose(session(image=image)["logits"], expected(image), atol=1e-5)


def test_outputs_stay_what_they_were_when_the_session_runs_again(graph: bytes) -> None:
    session = OpenVINOSession(graph)
    first = session(image=pictures(2))["logits"]
    kept = first.copy()
    session(image=pictures(2, seed=1))
    assert np.array_equal(first, kept)


def test_one_session_serves_many_threads(graph: bytes) -> None:
    session = OpenVINOSession(graph, threads=1)
    batches = [pictures(3, seed) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda image: session(image=image)["logits"], batches))
    assert all(np.allclose(f, expected(image), atol=1e-5) for f, image in zip(found, batches, strict=True))


@pytest.mark.parametrize("runtime", ["openvino", "onnx"])
def test_a_bundle_is_opened_and_its_inputs_are_checked(runtime: str, make_bundle: Callable[..., Bundle]) -> None:
    session = open_session(make_bundle(), runtime)
    assert np.allclose(session(image=pictures(2))["logits"], expected(pictures(2)), atol=1e-5)
    with pytest.raises(BundleError, match=r"float32 \[B, 3, 8, 8\].*given: float64 \[1, 3, 8, 8\]"):
        session(image=np.zeros((1, 3, 8, 8)))
    with pytest.raises(BundleError, match=r"given: float32 \[1, 3, 16, 16\]"):
        session(image=np.zeros((1, 3, 16, 16), np.float32))
    with pytest.raises(BundleError, match="takes the inputs image; given: picture"):
        session(picture=pictures(1))
    with pytest.raises(BundleError, match="given: none"):
        session()


def test_the_compiled_graph_is_kept_in_the_cache(
    make_bundle: Callable[..., Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    bundle = make_bundle()
    open_session(bundle)
    kept = [path for path in (cache_dir() / "compiled").rglob("*") if path.is_file()]
    assert kept
    image = pictures(2)
    assert np.allclose(open_session(bundle)(image=image)["logits"], expected(image), atol=1e-5)


def test_the_torch_form_is_resolved_only_when_asked_for(
    make_bundle: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def resolve(target: str) -> Callable[..., str]:
        asked.append(target)
        return lambda bundle, device, precision: f"{bundle.name} {device} {precision}"

    monkeypatch.setattr("mien.runtime.session.resolve", resolve)
    opened: object = open_session(make_bundle(), "torch", "cuda", precision="bf16")
    assert opened == "small cuda bf16"
    assert asked == ["mien.models.session:TorchSession"]


def test_what_cannot_be_run_is_explained(make_bundle: Callable[..., Bundle], graph: bytes) -> None:
    bundle = make_bundle()
    with pytest.raises(ConfigError, match="allowed: openvino, onnx, torch"):
        open_session(bundle, "tensorrt")
    with pytest.raises(ConfigError, match="given: 'bf16'"):
        open_session(bundle, "onnx", precision="bf16")
    with pytest.raises(BundleError, match=r"'NOWHERE' by OpenVINO.*devices here: .*CPU"):
        open_session(bundle, device="nowhere")
    with pytest.raises(BundleError, match="cannot be run"):
        OpenVINOSession(b"no graph")
    with pytest.raises(BundleError, match="cannot be run"):
        OnnxSession(b"no graph")
    with pytest.raises(ConfigError, match="cannot use 'abacus'"):
        OnnxSession(graph, device="abacus")


def test_inputs_without_a_spec_are_checked_by_name_only() -> None:
    check_arrays({"sound": np.zeros(3)}, ("sound",), {})
    with pytest.raises(BundleError, match="given: image, sound"):
        check_arrays({"image": np.zeros(3), "sound": np.zeros(3)}, ("sound",), {"sound": ImageSpec()})


def test_outputs_have_the_names_of_the_graph_also_where_values_are_equal() -> None:
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["a_mean"], keepdims=0, axes=[1]),
            helper.make_node("ReduceMean", ["image"], ["feature"], keepdims=0, axes=[1]),
            helper.make_node("Relu", ["a_mean"], ["logits"]),
        ],
        "twice",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]) for name in ("logits", "feature")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10)
    session = OpenVINOSession(model.SerializeToString())
    assert session.outputs == ("logits", "feature")
    assert session(image=np.ones((2, 4), np.float32))["feature"].tolist() == [1, 1]
