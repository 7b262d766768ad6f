from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from mien.models.product_cross import Config
from mien.models.session import TorchSession, build_network
from mien.runtime.bundle import Bundle, write_bundle
from mien.runtime.session import open_session
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import PictureSpec
from mien.schema.labels import RAF_DB


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return Config.tiny().build(RAF_DB).eval().half().float()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, network: torch.nn.Module) -> Bundle:
    described = Bundle(
        path=tmp_path_factory.mktemp("bundles") / "cross",
        name="cross",
        model="product_cross",
        model_config=asdict(Config.tiny()),
        inputs=Config.tiny().inputs(),
        labels=RAF_DB,
        task={"name": "classify"},
        provenance={"recipe": "none", "seed": 0, "commit": "none", "data_fingerprint": "none"},
        licences={"code": "none", "weights": "none", "training_data": "none"},
    )
    weights = {n: t.numpy() for n, t in network.state_dict().items()}
    return write_bundle(
        described, {n: a.astype(np.float16) if a.dtype == np.float32 else a for n, a in weights.items()}, b"no graph"
    )


@pytest.fixture
def image(rng: np.random.Generator) -> Any:
    return rng.normal(0, 1, (3, 3, 32, 32)).astype(np.float32)


def test_a_bundle_answers_as_the_module_it_was_made_of(network: torch.nn.Module, bundle: Bundle, image: Any) -> None:
    session = open_session(bundle, "torch")
    assert session.inputs == ("image",)
    assert session.outputs == ("logits", "feature", "heatmap")
    found = session(image=image)
    with torch.no_grad():
        expected = network(torch.from_numpy(image))._asdict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], tensor.numpy(), rtol=1e-4, atol=1e-5)


def test_bf16_is_close(bundle: Bundle, image: Any) -> None:
    exact, half = TorchSession(bundle)(image=image), TorchSession(bundle, precision="bf16")(image=image)
    assert half["logits"].dtype == np.float32
    assert not np.array_equal(half["logits"], exact["logits"])
    np.testing.assert_allclose(half["logits"], exact["logits"], atol=0.05 * max(1, np.abs(exact["logits"]).max()))


def test_outputs_that_are_absent_are_left_out(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    class Outputs(NamedTuple):
        pred_logits: torch.Tensor
        denoise_logits: torch.Tensor | None = None

    class Network(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> Outputs:
            return Outputs(image.mean((2, 3))[:, None])

    monkeypatch.setattr("mien.models.session.build_network", lambda bundle: Network())
    session = TorchSession(replace(bundle, inputs={"image": PictureSpec(size_px=32)}))
    assert session.outputs == ("pred_logits",)
    assert session(image=np.ones((2, 3, 32, 32), np.float32))["pred_logits"].shape == (2, 1, 3)


def test_what_does_not_fit_is_refused(bundle: Bundle, image: Any) -> None:
    session = TorchSession(bundle)
    with pytest.raises(BundleError, match=r"float32 \[B, 3, 32, 32\]"):
        session(image=image[..., :16])
    with pytest.raises(BundleError, match="takes the inputs image"):
        session(picture=image)
    with pytest.raises(ConfigError, match="no device"):
        TorchSession(bundle, device="abacus")
    with pytest.raises(ConfigError, match="no model"):
        build_network(replace(bundle, model="unknown"))
    for changes in ({"width": 48}, {"colour_of_hat": "red"}):
        with pytest.raises(BundleError, match="do not fit the network"):
            build_network(replace(bundle, model_config={**bundle.model_config, **changes}))
