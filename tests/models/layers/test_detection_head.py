from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.models.layers.detection_head import DetectionHead, anchors
from mien.schema.errors import ConfigError

CHANNELS, SIZE, CLASSES, QUERIES = (4, 6, 8), 64, 7, 12


def head(**fields: Any) -> DetectionHead:
    torch.manual_seed(0)
    return DetectionHead(CHANNELS, CLASSES, SIZE, **{"queries": QUERIES, "layers": 2, "dim": 16, **fields})


def maps(size_px: int = SIZE, batch: int = 2, seed: int = 1) -> list[Tensor]:
    torch.manual_seed(seed)
    sides = (size_px // 8, size_px // 16, size_px // 32)
    return [torch.randn(batch, c, side, side) for c, side in zip(CHANNELS, sides, strict=True)]


def faces() -> tuple[Tensor, Tensor]:
    boxes = torch.tensor([[[0.3, 0.3, 0.2, 0.2], [0.7, 0.6, 0.3, 0.4]], [[0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]]])
    return boxes, torch.tensor([[1, 5], [0, -1]])


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_it_has_the_published_size() -> None:
    with torch.device("meta"):
        network = DetectionHead((256, 256, 256), 7, 640)
    assert count(network.project) == pytest.approx(0.20e6, abs=0.005e6)
    assert count(network) - count(network.project) == pytest.approx(3.72e6, abs=0.005e6)
    assert len(network.anchors) == 80**2 + 40**2 + 20**2
    with torch.device("meta"):
        noisy = DetectionHead((256, 256, 256), 7, 640, num_denoising=100)
    assert count(noisy) == count(network) + 8 * 256


def test_anchors_stand_in_the_middle_of_their_cells() -> None:
    found = anchors([(2, 4), (1, 2), (1, 1)])
    assert found.shape == (11, 4)
    torch.testing.assert_close(found[5], torch.tensor([1.5 / 4, 1.5 / 2, 0.05, 0.05]))
    torch.testing.assert_close(found[9], torch.tensor([0.75, 0.5, 0.1, 0.1]))
    torch.testing.assert_close(found[10], torch.tensor([0.5, 0.5, 0.2, 0.2]))


def test_the_best_cells_are_chosen() -> None:
    network, given = head().eval(), [project(x) for project, x in zip(head().eval().project, maps(), strict=True)]
    nn.init.normal_(network.step[-1].weight, std=0.5)
    chosen = network.choose(given)
    tokens = torch.cat([x.flatten(2).transpose(1, 2) for x in given], 1)
    memory = network.memory[1](network.memory[0](tokens))
    for picture in range(2):
        scores = network.score(memory[picture])
        best = scores.max(1).values.argsort(descending=True)[:QUERIES]
        torch.testing.assert_close(chosen.content[picture], memory[picture, best])
        torch.testing.assert_close(chosen.logits[picture], scores[best])
        prior = anchors([(8, 8), (4, 4), (2, 2)])[best]
        expected = (network.step(memory[picture, best]) + torch.log(prior / (1 - prior))).sigmoid()
        torch.testing.assert_close(chosen.boxes[picture], expected)


def test_cells_at_the_very_edge_are_never_chosen() -> None:
    with torch.device("meta"):
        large = DetectionHead((4, 4, 4), CLASSES, 640, dim=8)
    assert large.inside.shape == (8400,)
    large = DetectionHead((4, 4, 4), CLASSES, 640, dim=8)
    fine = large.inside[:6400].view(80, 80)
    assert fine[1:-1, 1:-1].all()
    assert fine.sum() == 78**2
    assert large.inside[6400:].all()
    network = head(queries=84).eval()
    network.inside[:] = False
    network.inside[[3, 70]] = True
    given = [project(x) for project, x in zip(network.project, maps(), strict=True)]
    memory = network.memory(torch.cat([x.flatten(2).transpose(1, 2) for x in given], 1))
    first = network.choose(given).content[:, :2].sort(1).values
    torch.testing.assert_close(first, memory[:, [3, 70]].sort(1).values)


def test_evaluation_answers_only_what_is_predicted() -> None:
    answer = head(num_denoising=4).eval()(maps(), *faces())
    assert answer.pred_logits.shape == (2, QUERIES, CLASSES)
    assert answer.pred_boxes.shape == (2, QUERIES, 4)
    assert all(part is None for part in answer[2:])
    assert ((answer.pred_boxes > 0) & (answer.pred_boxes < 1)).all()


def test_training_answers_all_that_the_loss_compares() -> None:
    answer = head().train()(maps(), *faces())
    assert answer.layer_logits.shape == (2, 2, QUERIES, CLASSES)
    assert answer.layer_boxes.shape == (2, 2, QUERIES, 4)
    assert answer.encoder_logits.shape == (2, QUERIES, CLASSES)
    assert answer.encoder_boxes.shape == (2, QUERIES, 4)
    assert answer.pred_logits.equal(answer.layer_logits[-1])
    assert answer.pred_boxes.equal(answer.layer_boxes[-1])
    assert answer.denoise_logits is answer.denoise_boxes is answer.denoise_index is None


def test_denoising_queries_come_beside_and_change_nothing() -> None:
    network = head(num_denoising=6).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    answer, plain = network(maps(), *faces()), network(maps())
    assert answer.denoise_logits.shape == (2, 2, 12, CLASSES)
    assert answer.denoise_boxes.shape == (2, 2, 12, 4)
    assert answer.denoise_index.tolist() == [[0, 1, -1, -1] * 3, [0, -1, -1, -1] * 3]
    assert plain.denoise_index is None
    for name in ("pred_logits", "pred_boxes", "layer_logits", "layer_boxes", "encoder_logits", "encoder_boxes"):
        torch.testing.assert_close(getattr(answer, name), getattr(plain, name), rtol=1e-4, atol=1e-5)


def test_pictures_of_another_size_run_too() -> None:
    answer, own = head().eval()(maps(96)), head().eval()
    assert answer.pred_boxes.shape == (2, QUERIES, 4)
    other = DetectionHead(CHANNELS, CLASSES, 96, queries=QUERIES, layers=2, dim=16).eval()
    other.load_state_dict(own.state_dict())
    torch.testing.assert_close(other(maps(96)).pred_boxes, own(maps(96)).pred_boxes)


def test_there_are_no_more_queries_than_cells() -> None:
    assert head(queries=300).eval()(maps()).pred_logits.shape == (2, 64 + 16 + 4, CLASSES)


@pytest.mark.parametrize("cross_attn", ["deformable", "dense"])
def test_every_weight_learns_or_is_listed(cross_attn: str) -> None:
    network = head(num_denoising=6, cross_attn=cross_attn).train()
    answer = network(maps(), *faces())
    sum((torch.randn_like(part) * part).sum() for part in answer[2:8]).backward()
    still = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert still == network.still_parameters()
    assert len(still) == 3 * 4


def test_the_choice_is_no_path_for_gradients_of_the_decoder() -> None:
    network = head().train()
    answer = network(maps())
    (answer.layer_logits.sum() + answer.layer_boxes.sum()).backward()
    assert all(p.grad is None for part in (network.memory, network.score, network.step) for p in part.parameters())


def test_answers_are_in_single_precision() -> None:
    network = head(num_denoising=6).train()
    with torch.autocast("cpu", torch.bfloat16):
        answer = network(maps(), *faces())
    assert {part.dtype for part in answer[:8]} == {torch.float32}
    sum(part.sum() for part in answer[2:8]).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def test_mistakes_are_named() -> None:
    for fields in ({"dim": 12}, {"queries": 0}, {"layers": 0}, {"num_denoising": -1}):
        with pytest.raises(ConfigError, match=f"multiple of 8.*given: .*{next(iter(fields))}="):
            head(**fields)


def test_anchors_are_no_weights() -> None:
    assert not {"anchors", "inside"} & set(head().state_dict())


class Prediction(NamedTuple):
    pred_logits: Tensor
    pred_boxes: Tensor


class Exported(nn.Module):
    """A head of one layer, its maps as three inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.head = head(layers=1)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Prediction:
        answer = self.head([fine, middle, coarse])
        return Prediction(answer.pred_logits, answer.pred_boxes)


class Shape(NamedTuple):
    shape: tuple[int, int, int]


def test_the_exported_graph_takes_any_batch_and_agrees() -> None:
    from mien.deploy.export import onnx_graph
    from mien.runtime.session import OnnxSession, OpenVINOSession

    names, network = ("fine", "middle", "coarse"), Exported().eval()
    specs = {name: Shape(tuple(x.shape[1:])) for name, x in zip(names, maps(), strict=True)}
    graph = onnx_graph(network, specs)
    for session in (OpenVINOSession(graph), OnnxSession(graph)):
        for batch in (1, 3):
            given = dict(zip(names, maps(batch=batch), strict=True))
            found = session(**{name: x.numpy() for name, x in given.items()})
            assert list(found) == ["pred_logits", "pred_boxes"]
            with torch.no_grad():
                expected = network(**given)._asdict()
            for name, values in found.items():
                np.testing.assert_allclose(values, expected[name].numpy(), rtol=1e-4, atol=1e-5)
