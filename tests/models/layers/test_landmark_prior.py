import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.models import landmarks
from mien.models.checkpoints import load_foreign
from mien.models.layers.landmark_prior import LandmarkPrior
from mien.models.layers.mobilefacenet import MobileFaceNet
from mien.schema.errors import BundleError
from mien.schema.inputs import IMAGENET_MEAN, IMAGENET_STD

MEAN, STD = (torch.tensor(numbers).view(3, 1, 1) for numbers in (IMAGENET_MEAN, IMAGENET_STD))


def prior(**changes) -> LandmarkPrior:
    torch.manual_seed(0)
    return LandmarkPrior(8, (1, 1, 1), 16, **{"size_px": 32, **changes})


@pytest.fixture
def picture() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("normalised", [True, False])
def test_every_view_is_of_the_same_picture(normalised: bool, picture: Tensor) -> None:
    given = (picture - MEAN) / STD if normalised else picture
    halved = F.interpolate(picture, size=(32, 32), mode="bilinear", align_corners=False)
    imagenet, raw = (prior(view=view, normalised=normalised) for view in ("imagenet", "raw01_bgr"))
    torch.testing.assert_close(imagenet.viewed(given), (halved - MEAN) / STD)
    torch.testing.assert_close(raw.viewed(given), halved[:, [2, 1, 0]])
    assert not {"mean", "std"} & set(imagenet.state_dict())


def test_its_maps_lie_at_a_quarter_an_eighth_and_a_sixteenth(picture: Tensor) -> None:
    network = prior()
    found = network.forward_maps(picture)
    assert [tuple(m.shape[1:]) for m in found] == [(8, 8, 8), (16, 4, 4), (16, 2, 2)]
    assert network.widths == tuple(m.shape[1] for m in found)
    with torch.device("meta"):
        whole = LandmarkPrior().eval().forward_maps(torch.empty(1, 3, 224, 224))
    assert [tuple(m.shape[1:]) for m in whole] == [(64, 28, 28), (128, 14, 14), (512, 7, 7)]


def test_frozen_it_never_moves(picture: Tensor) -> None:
    network = prior().train()
    before = {n: t.clone() for n, t in network.state_dict().items()}
    network.forward_maps(picture)
    assert all(torch.equal(t, before[n]) for n, t in network.state_dict().items())
    assert not any(p.requires_grad for p in network.parameters())
    thawed = prior(frozen=False).train()
    assert thawed.training
    assert all(p.requires_grad for p in thawed.parameters())


def test_it_takes_the_weights_of_a_landmark_model(picture: Tensor) -> None:
    network = prior().eval()
    model = landmarks.Config(width=8, depths=(1, 1, 1), head_width=16).build(None).eval()
    network.fill(model.state_dict())
    small = network.viewed(picture)
    torch.testing.assert_close(network(small), model(small).landmarks)
    before = {n: t.clone() for n, t in network.state_dict().items()}
    with pytest.raises(BundleError, match="prior_depths"):
        network.fill(landmarks.Config(width=8, depths=(1, 2, 1), head_width=16).build(None).state_dict())
    assert all(torch.equal(t, before[n]) for n, t in network.state_dict().items())


def test_it_takes_the_public_checkpoint(tmp_path) -> None:
    source, network = MobileFaceNet(8, (1, 1, 1), 16), prior()
    torch.save({"state_dict": {f"module.{n}": t for n, t in source.state_dict().items()}}, tmp_path / "public.pth.tar")
    report = load_foreign(network, tmp_path / "public.pth.tar", min_fraction=1.0)
    assert not report.unexpected
    assert all(torch.equal(t, network.state_dict()[n]) for n, t in source.state_dict().items())
