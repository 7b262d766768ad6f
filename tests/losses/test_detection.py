import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_convert, box_iou, generalized_box_iou

from mien.losses.detection import Detection
from mien.schema.errors import ConfigError
from mien.schema.labels import RAF_DB

CLASSES = 7
LAYERS, QUERIES = 3, 10
WITHOUT = dict.fromkeys(("layer_logits", "layer_boxes", "encoder_logits", "encoder_boxes"))
NO_NOISE = dict.fromkeys(("denoise_logits", "denoise_boxes", "denoise_index"))


def outputs(pictures: int = 3, seed: int = 0) -> SimpleNamespace:
    """What a detector says in training."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(LAYERS + 1, pictures, QUERIES, CLASSES, generator=generator).requires_grad_()
    boxes = torch.rand(LAYERS + 1, pictures, QUERIES, 4, generator=generator).requires_grad_()
    return SimpleNamespace(
        pred_logits=logits[2],
        pred_boxes=boxes[2],
        layer_logits=logits[:3],
        layer_boxes=boxes[:3],
        encoder_logits=logits[3],
        encoder_boxes=boxes[3],
        leaves=(logits, boxes),
        **NO_NOISE,
    )


def answer(logits: Tensor, boxes: Tensor) -> SimpleNamespace:
    """What a detector says in evaluation."""
    return SimpleNamespace(pred_logits=logits, pred_boxes=boxes, **WITHOUT, **NO_NOISE)


def targets(pictures: int = 3, faces: int = 3) -> dict[str, Tensor]:
    """The last picture has no face, the one before lacks one."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(CLASSES, (pictures, faces), generator=generator)
    labels[-1] = -1
    labels[-2, 1] = -1
    boxes = torch.rand(pictures, faces, 4, generator=generator) * (labels >= 0)[..., None]
    return {"boxes": boxes, "box_labels": labels, "box_weights": torch.ones(pictures, faces)}


def one_face(label: int = 2, weight: float = 1.0) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor([[[0.5, 0.5, 0.4, 0.4]]]),
        "box_labels": torch.tensor([[label]]),
        "box_weights": torch.full((1, 1), weight),
    }


def value(config: Detection, given: Any, wanted: dict[str, Tensor]) -> dict[str, float]:
    return {name: part.item() for name, part in config.build(RAF_DB)(given, wanted).items()}


def classified(config: Detection, logits: Tensor, overlap: Tensor, onehot: Tensor) -> Tensor:
    """The published forms, entry by entry."""
    p = logits.sigmoid()
    if config.classification == "mal":
        target = onehot * overlap**config.gamma
        weight = (config.mal_alpha or 1.0) * p**config.gamma * (1 - onehot) + onehot
    else:
        target = onehot * overlap
        weight = config.vfl_alpha * p**config.vfl_gamma * (1 - onehot) + target
    return (weight * -(target * p.log() + (1 - target) * (1 - p).log())).sum()


def layer_by_layer(config: Detection, given: Any, wanted: dict[str, Tensor]) -> dict[str, float]:
    """The loss picture by picture, with torchvision's overlaps."""
    parts = {"classification": 0.0, "l1": 0.0, "giou": 0.0}
    count = (wanted["box_labels"] >= 0).sum().item()
    stacks = zip((*given.layer_logits, given.encoder_logits), (*given.layer_boxes, given.encoder_boxes), strict=True)
    for logits, boxes in stacks:
        for picture, labels in enumerate(wanted["box_labels"]):
            real = labels >= 0
            true, label, scores = wanted["boxes"][picture][real], labels[real], logits[picture].detach()
            found, p = boxes[picture].detach(), logits[picture].detach().sigmoid()[:, label]
            pair = [box_convert(x, "cxcywh", "xyxy") for x in (found, true)]
            iou, giou = box_iou(*pair), generalized_box_iou(*pair)
            focal = 0.25 * (1 - p) ** 2 * -p.log() - 0.75 * p**2 * -(1 - p).log()
            rows, columns = linear_sum_assignment(2 * focal + 5 * torch.cdist(found, true, p=1) - 2 * giou)
            onehot, overlap = torch.zeros_like(scores), torch.zeros_like(scores)
            onehot[rows, label[columns]], overlap[rows, label[columns]] = 1, iou[rows, columns]
            parts["classification"] += classified(config, scores, overlap, onehot).item() / count
            parts["l1"] += (found[rows] - true[columns]).abs().sum().item() / count
            parts["giou"] += (1 - giou[rows, columns]).sum().item() / count
    return {"loss": parts["classification"] + 5 * parts["l1"] + 2 * parts["giou"], **parts}


@pytest.mark.parametrize("fields", [{}, {"mal_alpha": 0.6}, {"classification": "vfl"}, {"gamma": 2.0}], ids=str)
def test_it_equals_the_published_form(fields: dict[str, Any]) -> None:
    config = Detection(**fields)
    found = value(config, outputs(), targets())
    assert found == pytest.approx(layer_by_layer(config, outputs(), targets()), rel=1e-4)


def test_by_hand() -> None:
    """Scores of 1/2, a box half of which is right: IoU 1/2, hull equal to the union."""
    logits, boxes = torch.zeros(1, 2, CLASSES), torch.tensor([[[0.5, 0.4, 0.4, 0.2], [0.9, 0.9, 0.1, 0.1]]])
    found = value(Detection(), answer(logits, boxes), one_face())
    assert found["l1"] == pytest.approx(0.3)
    assert found["giou"] == pytest.approx(0.5)
    others = (2 * CLASSES - 1) * 0.5**1.5 * math.log(2)
    assert found["classification"] == pytest.approx(math.log(2) + others, rel=1e-5)
    assert found["loss"] == pytest.approx(found["classification"] + 5 * 0.3 + 2 * 0.5, rel=1e-5)


def test_a_perfect_match_is_plain_cross_entropy_beside_focused_absences() -> None:
    logits = torch.randn(1, 1, CLASSES, generator=torch.Generator().manual_seed(0))
    found = value(Detection(), answer(logits, one_face()["boxes"]), one_face(label=2))
    p = logits[0, 0].sigmoid()
    absent = sum(p[c] ** 1.5 * -(1 - p[c]).log() for c in range(CLASSES) if c != 2)
    assert found["classification"] == pytest.approx((absent - p[2].log()).item(), rel=1e-4)
    assert found["l1"] == 0
    assert found["giou"] == pytest.approx(0, abs=1e-6)


def test_a_match_without_overlap_pushes_its_score_down() -> None:
    logits = torch.zeros(1, 1, CLASSES, requires_grad=True)
    far = torch.tensor([[[0.1, 0.1, 0.1, 0.1]]])
    for name in ("mal", "vfl"):
        logits.grad = None
        parts = Detection(classification=name).build(RAF_DB)(answer(logits, far), one_face(label=2))
        (slope,) = torch.autograd.grad(parts["loss"], logits)
        assert slope[0, 0, 2].item() == pytest.approx(0.5 if name == "mal" else 0.0)
        assert (slope >= 0).all()


def test_the_order_of_the_queries_does_not_matter() -> None:
    given, mixed = outputs(), outputs()
    order = torch.randperm(QUERIES, generator=torch.Generator().manual_seed(1))
    for name in ("pred", "encoder", "layer"):
        for kind in ("logits", "boxes"):
            old = getattr(given, f"{name}_{kind}")
            setattr(mixed, f"{name}_{kind}", old[..., order, :])
    for config in (Detection(), Detection(union_of_matches=True)):
        assert value(config, mixed, targets()) == pytest.approx(value(config, given, targets()), rel=1e-5)


def test_the_order_of_faces_and_padding_do_not_matter() -> None:
    wanted, given = targets(), outputs()
    order = torch.tensor([2, 0, 1])
    shuffled = {name: x[:, order] for name, x in wanted.items()}
    padded = {name: F.pad(x, (0, 0, 0, 2) if x.ndim == 3 else (0, 2), value=-1) for name, x in wanted.items()}
    expected = value(Detection(), given, wanted)
    assert value(Detection(), given, shuffled) == pytest.approx(expected, rel=1e-5)
    assert value(Detection(), given, padded) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("fields", [{}, {"classification": "vfl"}, {"union_of_matches": True}], ids=str)
def test_pictures_without_faces(fields: dict[str, Any]) -> None:
    given, empty = outputs(2), {name: x[-1:].expand(2, *x.shape[1:]) for name, x in targets().items()}
    parts = Detection(**fields).build(RAF_DB)(given, empty)
    parts["loss"].backward()
    logits, boxes = given.leaves
    assert parts["loss"].isfinite()
    assert parts["l1"] == 0
    assert parts["giou"] == 0
    assert (logits.grad > 0).all()
    assert not boxes.grad.any()


def test_degenerate_boxes_have_finite_gradients() -> None:
    for box in ((0.5, 0.5, 0.0, 0.0), (0.5, 0.5, 0.0, 0.4), (0.0, 0.0, 1.0, 0.0)):
        boxes = torch.tensor(box).expand(1, 3, 4).clone().requires_grad_()
        logits = torch.full((1, 3, CLASSES), -50.0).requires_grad_()
        flat = one_face()
        flat["boxes"] = torch.tensor(box).expand(1, 1, 4)
        for wanted in (one_face(), flat):
            parts = Detection().build(RAF_DB)(answer(logits, boxes), wanted)
            for slope in torch.autograd.grad(parts["loss"], (logits, boxes)):
                assert slope.isfinite().all()


def test_a_face_counts_by_its_weight() -> None:
    """Two faces far apart, two queries: the loss is the weighted mean of what each would give."""
    boxes = torch.tensor([[[0.25, 0.25, 0.2, 0.3], [0.7, 0.7, 0.3, 0.2]]])
    wanted = {"boxes": boxes * 1.1, "box_labels": torch.tensor([[1, 4]]), "box_weights": torch.tensor([[1.2, 0.8]])}
    logits = torch.full((1, 2, CLASSES), -20.0)
    logits[0, [0, 1], [1, 4]] = torch.tensor([0.5, -1.0])
    found = value(Detection(), answer(logits, boxes), wanted)
    alone = [
        value(
            Detection(),
            answer(logits[:, [i]], boxes[:, [i]]),
            {**{n: x[:, [i]] for n, x in wanted.items()}, "box_weights": torch.ones(1, 1)},
        )
        for i in (0, 1)
    ]
    for name in ("loss", "classification", "l1", "giou"):
        assert found[name] == pytest.approx((1.2 * alone[0][name] + 0.8 * alone[1][name]) / 2, rel=1e-4)


def test_mixup_halves_leave_the_scale_as_it_is() -> None:
    logits, boxes = torch.zeros(1, 2, CLASSES), torch.tensor([[[0.5, 0.5, 0.4, 0.2]] * 2])
    twice = {name: x.repeat(1, 2, *(1,) * (x.ndim - 2)) for name, x in one_face(weight=0.5).items()}
    once, mixed = (
        value(Detection(), answer(logits, boxes), one_face()),
        value(Detection(), answer(logits, boxes), twice),
    )
    assert mixed["l1"] == pytest.approx(once["l1"])
    assert mixed["giou"] == pytest.approx(once["giou"])


def test_boxes_learn_from_the_union_of_matches() -> None:
    given, wanted = outputs(), targets()
    slopes = []
    for config in (Detection(), Detection(union_of_matches=True)):
        loss = config.build(RAF_DB)(given, wanted)["loss"]
        slopes.append([x.abs().sum(-1) > 0 for x in torch.autograd.grad(loss, given.leaves)])
    (_, own), (_, wide) = slopes
    assert own.sum(-1).tolist() == [[3, 2, 0]] * 4
    assert wide.equal(own.any(0).expand_as(own))
    found, plain = (value(Detection(union_of_matches=x), given, wanted) for x in (True, False))
    assert found["classification"] == plain["classification"]


def test_denoising_queries_know_their_faces() -> None:
    """One layer, two queries of which the first was made from the second face, with nothing matched."""
    wanted = {name: x[:1] for name, x in targets().items()}
    logits = torch.randn(1, 1, 2, CLASSES, generator=torch.Generator().manual_seed(3))
    boxes = torch.rand(1, 1, 2, 4, generator=torch.Generator().manual_seed(4))
    given = outputs(1)
    before = value(Detection(), given, wanted)
    given.denoise_logits, given.denoise_boxes = logits.requires_grad_(), boxes
    given.denoise_index = torch.tensor([[1, -1]])
    found = value(Detection(), given, wanted)
    face, label = wanted["boxes"][0, [1]], wanted["box_labels"][0, 1]
    pair = [box_convert(x, "cxcywh", "xyxy") for x in (boxes[0, 0, :1], face)]
    onehot, overlap = torch.zeros(2, CLASSES), torch.zeros(2, CLASSES)
    onehot[0, label], overlap[0, label] = 1, box_iou(*pair).item()
    expected = classified(Detection(), logits[0, 0].detach(), overlap, onehot).item()
    expected += 5 * F.l1_loss(boxes[0, 0, :1], face, reduction="sum").item()
    expected += 2 * (1 - generalized_box_iou(*pair)).item()
    assert found["denoise"] == pytest.approx(expected, rel=1e-4)
    assert found["loss"] == pytest.approx(before["loss"] + expected, rel=1e-4)
    assert value(Detection(denoise_weight=0.5), given, wanted)["loss"] == pytest.approx(
        before["loss"] + expected / 2, rel=1e-4
    )
    given.denoise_logits, given.denoise_boxes = logits.expand(3, -1, -1, -1), boxes.expand(3, -1, -1, -1)
    assert value(Detection(), given, wanted)["denoise"] == pytest.approx(3 * expected, rel=1e-4)


def test_parts_are_detached_and_single_precision() -> None:
    given = outputs()
    parts = Detection().build(RAF_DB)(given, targets())
    assert list(parts) == ["loss", "classification", "l1", "giou"]
    assert parts["loss"].requires_grad
    assert not any(part.requires_grad for name, part in parts.items() if name != "loss")
    half = answer(given.pred_logits.bfloat16(), given.pred_boxes.bfloat16())
    assert Detection().build(RAF_DB)(half, targets())["loss"].dtype == torch.float32


def test_the_loss_goes_down_to_the_truth() -> None:
    torch.manual_seed(0)
    logits, raw = torch.zeros(2, 5, CLASSES, requires_grad=True), torch.randn(2, 5, 4, requires_grad=True)
    wanted = {name: x[:2] for name, x in targets().items()}
    loss, optimizer = Detection().build(RAF_DB), torch.optim.Adam((logits, raw), lr=0.15)
    for _ in range(80):
        optimizer.zero_grad()
        parts = loss(answer(logits, raw.sigmoid()), wanted)
        parts["loss"].backward()
        optimizer.step()
    assert parts["l1"].item() < 0.05
    assert parts["giou"].item() < 0.2
    best = logits.amax(-1) > 0
    assert best.sum(-1).tolist() == (wanted["box_labels"] >= 0).sum(-1).tolist()


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="label set"):
        Detection().build(None)
    with pytest.raises(ConfigError, match="at least 0"):
        Detection(l1_weight=-1.0)
    with pytest.raises(ConfigError, match="at least 0"):
        Detection(mal_alpha=-0.1)
