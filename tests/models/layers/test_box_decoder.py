from typing import Any

import pytest
import torch
from torch import nn

from mien.models.layers.box_decoder import BoxDecoder, DecoderLayer, Perceptron, ScoreLayer

WIDTH, CLASSES, QUERIES = 16, 7, 5


def decoder(layers: int = 3, cross_attn: Any = "deformable", *, stirred: bool = True) -> BoxDecoder:
    """``stirred``: as after some training, with steps that are not 0."""
    torch.manual_seed(0)
    network = BoxDecoder(CLASSES, layers, WIDTH, cross_attn)
    if stirred:
        for step in network.steps:
            nn.init.normal_(step[-1].weight, std=0.5)
    return network


def given() -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    torch.manual_seed(1)
    maps = [torch.randn(2, WIDTH, side, side) for side in (8, 4, 2)]
    return torch.randn(2, QUERIES, WIDTH), 0.2 + 0.6 * torch.rand(2, QUERIES, 4), maps


def test_at_the_start_boxes_stay_and_scores_are_low() -> None:
    query, boxes, maps = given()
    logits, moved = decoder(stirred=False)(query, boxes, maps)
    assert logits.shape == (3, 2, QUERIES, CLASSES)
    torch.testing.assert_close(moved, boxes.expand(3, -1, -1, -1), rtol=1e-4, atol=1e-5)
    assert ScoreLayer(WIDTH, CLASSES).bias.sigmoid().tolist() == pytest.approx([0.01] * CLASSES)


@pytest.mark.parametrize("cross_attn", ["deformable", "dense"])
def test_it_equals_the_written_steps(cross_attn: str) -> None:
    """Post-norm layers; queries and keys of the queries carry their boxes, values don't."""
    network, (query, boxes, maps) = decoder(2, cross_attn), given()
    logits, moved = network(query, boxes, maps)
    for number, layer in enumerate(network.layers):
        place = network.place(boxes)
        placed = query + place
        query = layer.norm1(query + layer.self_attn(placed, placed, query))
        query = layer.norm2(query + layer.cross_attn(query + place, boxes, maps))
        query = layer.norm3(query + layer.ffn[2](nn.functional.silu(layer.ffn[0](query))))
        boxes = (network.steps[number](query) + torch.log(boxes / (1 - boxes))).sigmoid()
        torch.testing.assert_close(logits[number], network.scores[number](query))
        torch.testing.assert_close(moved[number], boxes, rtol=1e-4, atol=1e-5)


def test_evaluation_gives_the_last_layer() -> None:
    network = decoder()
    logits, moved = network(*given())
    last, last_boxes = network.eval()(*given())
    torch.testing.assert_close(last, logits[-1:])
    torch.testing.assert_close(last_boxes, moved[-1:])


def test_a_box_teaches_its_own_step_and_the_one_before() -> None:
    network, (query, boxes, maps) = decoder(), given()
    boxes.requires_grad_()
    network(query, boxes, maps)[1][2].sum().backward()
    first, second, third = (step[-1].weight.grad is not None for step in network.steps)
    assert second
    assert third
    assert first, "the sum of logits is passed on"
    assert network.place[0].weight.grad is not None
    assert boxes.grad is not None


def test_queries_that_may_not_be_seen_change_nothing() -> None:
    network, (query, boxes, maps) = decoder().eval(), given()
    allowed = torch.ones(QUERIES, QUERIES, dtype=torch.bool)
    allowed[2:, :2] = False
    whole = network(query, boxes, maps, allowed)
    alone = network(query[:, 2:], boxes[:, 2:], maps)
    for found, expected in zip(whole, alone, strict=True):
        torch.testing.assert_close(found[:, :, 2:], expected, rtol=1e-4, atol=1e-5)


def test_boxes_at_the_edges_have_finite_gradients() -> None:
    network, (query, boxes, maps) = decoder(), given()
    boxes[:, 0], boxes[:, 1] = 0.0, 1.0
    query.requires_grad_()
    logits, moved = network(query, boxes, maps)
    (logits.sum() + moved.sum()).backward()
    assert moved.isfinite().all()
    assert query.grad is not None
    assert query.grad.isfinite().all()


def test_boxes_are_in_single_precision() -> None:
    network = decoder()
    with torch.autocast("cpu", torch.bfloat16):
        logits, moved = network(*given())
    assert logits.dtype == moved.dtype == torch.float32
    torch.testing.assert_close(moved, network(*given())[1], rtol=0.1, atol=0.05)


def test_a_layer_has_the_published_size() -> None:
    with torch.device("meta"):
        attention, looking, ffn, norms = 263_168, 205_600, 525_568, 3 * 512
        assert sum(p.numel() for p in DecoderLayer(256, "deformable").parameters()) == attention + looking + ffn + norms
        assert sum(p.numel() for p in DecoderLayer(256, "dense").parameters()) == 2 * attention + ffn + norms
        assert sum(p.numel() for p in Perceptron(256, 256, 4).parameters()) == 2 * 65_792 + 1028
