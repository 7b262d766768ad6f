"""Public networks as encoders: widths, what they are fed, weights by file or random, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.deploy import public_encoders
from mien.deploy.encoders import ENCODERS, open_encoder
from mien.deploy.public_encoders import FACENET, poster_vit
from mien.models.layers.densenet import DenseNet
from mien.models.poster_v2 import Config
from mien.predict.senses import Eye, SpectrumEar
from mien.schema.errors import BundleError, ConfigError
from mien.schema.tables import resolve

TINY = replace(Config.tiny(), vit="joined")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller DenseNet in place of the published one."""
    monkeypatch.setattr(public_encoders, "DenseNet", lambda: DenseNet(growth=4, depths=(1, 1), stem=8))


def test_every_encoder_of_the_table_is_there() -> None:
    assert all(callable(resolve(target)) for target in ENCODERS.values())


@pytest.mark.parametrize(
    ("name", "width", "shape"),
    [("deepspectrum", 1024, (3, 224, 224)), ("irv1_casia", 512, (3, 160, 160)), ("regnety_016", 888, (3, 224, 224))],
)
def test_published_sizes(name: str, width: int, shape: tuple[int, ...]) -> None:
    encoder = open_encoder(name, random=True)
    assert (encoder.name, encoder.width, encoder.weights) == (name, width, "random")
    assert encoder.sense.spec.shape == shape
    said = encoder.run(np.zeros((1, *shape), np.float32))
    assert said.shape == (1, width)
    assert said.dtype == np.float32


def test_what_they_are_fed(small: None) -> None:
    assert isinstance(open_encoder("deepspectrum", random=True).sense, SpectrumEar)
    pixels = np.array([0, 127.5, 255]) / 255
    assert ((pixels - FACENET.mean[0]) / FACENET.std[0]).tolist() == pytest.approx([-127.5 / 128, 0, 127.5 / 128])
    eye = poster_vit((), "cpu", TINY).sense
    assert isinstance(eye, Eye)
    assert (eye.margin_ratio, eye.spec.mean, eye.spec.size_px) == (0.2, (0.5, 0.5, 0.5), 64)


def test_both_class_tokens_stand_side_by_side(rng) -> None:
    encoder = poster_vit((), "cpu", TINY)
    assert encoder.width == 24 + 16
    assert Config(vit="joined").feature_width == 1536
    said = encoder.run(rng.normal(size=(2, 3, 64, 64)).astype(np.float32))
    assert said.shape == (2, 40)


def test_random_weights_are_always_the_same(small: None, rng) -> None:
    given = rng.normal(size=(2, 3, 64, 64)).astype(np.float32)
    torch.manual_seed(1)
    first = open_encoder("deepspectrum", random=True).run(given)
    before = torch.rand(1)
    torch.manual_seed(1)
    second = open_encoder("deepspectrum", random=True).run(given)
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.rand(1), before), "the caller's chance is left alone"


def test_weights_of_a_file_are_used_and_named(small: None, tmp_path: Path, rng) -> None:
    torch.manual_seed(5)
    network = DenseNet(growth=4, depths=(1, 1), stem=8).eval()
    torch.save(network.state_dict(), tmp_path / "dense.pth")
    encoder = open_encoder("deepspectrum", weights=[tmp_path / "dense.pth"])
    given = rng.normal(size=(2, 3, 64, 64)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(given)).numpy()
    np.testing.assert_allclose(encoder.run(given), expected, rtol=1e-5, atol=1e-6)
    assert len(encoder.weights) == 64
    other = tmp_path / "other.pth"
    torch.save({**network.state_dict(), "features.norm5.bias": torch.ones(network.width)}, other)
    assert open_encoder("deepspectrum", weights=[other]).weights != encoder.weights


def test_weights_that_do_not_fit_are_refused(small: None, tmp_path: Path) -> None:
    torch.save({"stem.weight": torch.zeros(3)}, tmp_path / "wrong.pth")
    with pytest.raises(BundleError, match="does not fit DenseNet"):
        open_encoder("deepspectrum", weights=[tmp_path / "wrong.pth"])
    with pytest.raises(ConfigError, match="deepspectrum takes one file of weights; given: 2 files"):
        open_encoder("deepspectrum", weights=[tmp_path / "wrong.pth"] * 2)
    with pytest.raises(
        ConfigError, match=r"takes the weights of POSTER\+\+ and of ViT-B/16, in this order; given: 1 files"
    ):
        open_encoder("poster_vit", weights=[tmp_path / "wrong.pth"])
    with pytest.raises(ConfigError, match="torch has no device 'cuda:77'"):
        open_encoder("deepspectrum", random=True, device="cuda:77")


def test_both_files_of_poster_and_transformer_go_where_they_belong(tmp_path: Path, monkeypatch) -> None:
    files = [tmp_path / "poster.pth", tmp_path / "vit.pth"]
    for path in files:
        path.write_bytes(path.name.encode())
    taken = []
    monkeypatch.setattr(
        public_encoders, "load_foreign", lambda part, path, *, min_fraction: taken.append((type(part).__name__, path))
    )
    first = poster_vit(files, "cpu", TINY)
    assert taken == [("PosterTrunk", files[0]), ("VisionTransformer", files[1])]
    assert poster_vit(files, "cpu", TINY).weights == first.weights
    assert poster_vit(files[::-1], "cpu", TINY).weights != first.weights
