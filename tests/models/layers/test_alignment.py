import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mien.models.layers.alignment import Alignment


@pytest.fixture
def layer() -> Alignment:
    torch.manual_seed(0)
    return Alignment(6, 5, 7)


@pytest.fixture
def maps() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 6, 4, 8, generator=generator), torch.randn(3, 4, 5, 2, 2, generator=generator)


def test_it_equals_the_definition_moment_by_moment(layer: Alignment, maps: tuple[Tensor, Tensor]) -> None:
    voice, face = maps
    share, looks = layer(voice, face)
    for b in range(3):
        parts = [voice[b, :, :, 2 * k : 2 * k + 2].mean((1, 2)) for k in range(4)]
        means = [face[b, k].mean((1, 2)) for k in range(4)]
        agreement = [
            F.cosine_similarity(layer.voice(a), layer.face(v), dim=0) for a, v in zip(parts, means, strict=True)
        ]
        r = torch.stack(agreement).div(0.1).softmax(0)
        heard = sum((r[k] * parts[k] for k in range(4)), torch.zeros(6))
        seen = sum((r[k] * means[k] for k in range(4)), torch.zeros(5))
        scores = torch.cat((layer.voice_score(heard), layer.face_score(seen)))
        torch.testing.assert_close(looks[b], r)
        torch.testing.assert_close(share[b], scores.softmax(0)[0])


def test_weights_of_frames_sum_to_1(layer: Alignment, maps: tuple[Tensor, Tensor]) -> None:
    share, looks = layer(*maps)
    torch.testing.assert_close(looks.sum(1), torch.ones(3))
    assert ((share > 0) & (share < 1)).all()
    assert looks.std(1).min() > 0.01


def test_equal_parts_count_the_same(layer: Alignment, maps: tuple[Tensor, Tensor]) -> None:
    voice, face = maps
    _, looks = layer(voice[..., :1].expand(-1, -1, -1, 8), face[:, :1].expand(-1, 4, -1, -1, -1))
    torch.testing.assert_close(looks, torch.full((3, 4), 0.25))


def test_frames_and_their_sound_keep_together(layer: Alignment, maps: tuple[Tensor, Tensor]) -> None:
    voice, face = maps
    order = [2, 0, 3, 1]
    share, looks = layer(voice, face)
    moved = voice.unflatten(3, (4, 2))[:, :, :, order].flatten(3)
    again, turned = layer(moved, face[:, order])
    torch.testing.assert_close(turned, looks[:, order])
    torch.testing.assert_close(again, share)


def test_parameters() -> None:
    with torch.device("meta"):
        counted = sum(p.numel() for p in Alignment(256, 256).parameters())
    assert counted == 2 * (256 * 64 + 64) + 2 * (256 + 1)
