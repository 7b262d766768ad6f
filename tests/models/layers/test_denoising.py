import pytest
import torch

from mien.models.layers.denoising import Denoising, NoisyFaces

CLASSES, WIDTH = 7, 8
LABELS = torch.tensor([[3, 0, 6], [2, -1, -1], [-1, -1, -1]])


def boxes() -> torch.Tensor:
    """Around the middle, so that no noise reaches the edge of the picture."""
    drawn = 0.4 + 0.2 * torch.rand(*LABELS.shape, 4, generator=torch.Generator().manual_seed(0))
    drawn[..., 2:] *= 0.5
    return drawn * (LABELS >= 0)[..., None]


def noisy(number: int = 12, label_noise: float = 0.5, box_noise: float = 1.0, seed: int = 0) -> NoisyFaces:
    torch.manual_seed(seed)
    return Denoising(CLASSES, WIDTH, number, label_noise, box_noise)(boxes(), LABELS)


def test_every_face_stands_in_every_group_once_as_itself_and_once_as_a_contrast() -> None:
    found = noisy()
    assert found.content.shape == (3, 24, WIDTH)
    assert found.boxes.shape == (3, 24, 4)
    assert found.face[0].tolist() == [0, 1, 2, -1, -1, -1] * 4
    assert found.face[1].tolist() == [0, -1, -1, -1, -1, -1] * 4
    assert (found.face[2] == -1).all()
    assert found.group.tolist() == sorted([0, 1, 2, 3] * 6)


@pytest.mark.parametrize(("number", "queries"), [(1, 6), (3, 6), (5, 6), (6, 12), (100, 198)])
def test_there_are_whole_groups_and_at_least_one(number: int, queries: int) -> None:
    assert noisy(number).face.shape == (3, queries)


def test_contrasts_are_further_off_than_faces() -> None:
    """Each corner moves by up to half a side, or by half a side to a whole one."""
    found, true = noisy(600), boxes()[0]
    near: list[torch.Tensor] = []
    far: list[torch.Tensor] = []
    for box, index, place in zip(found.boxes[0], found.face[0], range(1200), strict=True):
        centre, size = true[place % 3, :2], true[place % 3, 2:]
        moved = torch.cat((box[:2] - box[2:] / 2, box[:2] + box[2:] / 2))
        truth = torch.cat((centre - size / 2, centre + size / 2))
        if ((moved - truth).abs() < 1.001 * size.repeat(2)).all():  # corners that did not cross
            (near if index >= 0 else far).append((moved - truth).abs() / size.repeat(2))
    assert torch.stack(near).max().item() <= 0.5 + 1e-4
    assert torch.stack(near).mean().item() == pytest.approx(0.25, abs=0.02)
    assert torch.stack(far).median().item() > 0.5


def test_boxes_stay_in_the_picture() -> None:
    torch.manual_seed(0)
    wide = torch.tensor([0.1, 0.9, 0.9, 0.9]).expand(1, 2, 4)
    found = Denoising(CLASSES, WIDTH, 50, 0.5, 1.0)(wide, torch.zeros(1, 2, dtype=torch.int64)).boxes
    assert (found[..., 2:] >= 0).all()
    assert (found[..., :2] - found[..., 2:] / 2 >= -1e-6).all()
    assert (found[..., :2] + found[..., 2:] / 2 <= 1 + 1e-6).all()


def test_without_noise_faces_are_as_they_are() -> None:
    torch.manual_seed(0)
    layer = Denoising(CLASSES, WIDTH, 3, 0.0, 0.0)
    found = layer(boxes(), LABELS)
    torch.testing.assert_close(found.boxes, boxes().repeat(1, 2, 1))
    claimed = torch.where(LABELS < 0, CLASSES, LABELS).repeat(1, 2)
    torch.testing.assert_close(found.content, layer.classes.weight[claimed])


def test_half_of_the_label_noise_draws_a_class() -> None:
    torch.manual_seed(0)
    layer = Denoising(CLASSES, WIDTH, 3000, 0.5, 1.0)
    found = layer(boxes(), LABELS).content
    true = layer.classes.weight[LABELS[0].repeat(found.shape[1] // 3)]
    kept = (found[0] == true).all(-1).float().mean().item()
    assert kept == pytest.approx(1 - 0.25 * (1 - 1 / CLASSES), abs=0.02)
    assert not found[2].any(), "padding claims nothing"


def test_groups_see_themselves_and_the_other_queries_which_see_none_of_them() -> None:
    allowed = noisy(6).allowed(4)
    assert allowed.shape == (16, 16)
    group = torch.tensor([0] * 6 + [1] * 6)
    assert allowed[:12, :12].equal(group[:, None] == group)
    assert allowed[:12, 12:].all()
    assert not allowed[12:, :12].any()
    assert allowed[12:, 12:].all()
