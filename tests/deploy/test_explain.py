from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mien.deploy.explain import attention_maps, grad_cam, heat_maps, overlay, stretched
from mien.models.product_cross import Config, ProductCross
from mien.schema.errors import ConfigError
from mien.schema.labels import RAF_DB


@pytest.fixture
def network() -> ProductCross:
    torch.manual_seed(0)
    return Config.tiny().build(RAF_DB)


@pytest.fixture
def image() -> Tensor:
    return torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(1))


def written_cam(network: ProductCross, image: Tensor, classes: Tensor) -> np.ndarray:
    """Grad-CAM of the fusion map, one image and one channel after the other."""
    network.eval()
    maps = network.forward_maps(image)
    fusion = maps.fusion.detach().requires_grad_()
    tokens = network.forward_tokens(maps._replace(fusion=fusion))
    logits, _ = network.forward_head(network.forward_last_block(*tokens))
    found = []
    for i, c in enumerate(classes.tolist()):
        (grad,) = torch.autograd.grad(logits[i, c], fusion, retain_graph=True)
        cam = sum(grad[i, k].mean() * fusion[i, k] for k in range(fusion.shape[1]))
        assert isinstance(cam, Tensor)
        cam = cam.detach().clamp(min=0)
        found.append((cam / cam.max() if cam.max() > 0 else cam).numpy())
    return np.stack(found)


def test_grad_cam_equals_the_written_formula(network: ProductCross, image: Tensor) -> None:
    classes = torch.tensor([0, 3, 6])
    found = grad_cam(network, image, layer="f_fusion", classes=classes)
    np.testing.assert_allclose(found, written_cam(network, image, classes), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("layer", [None, "block_in", "f_fusion", "f_img"])
@pytest.mark.parametrize("depth", [1, 2])
def test_every_layer_gives_maps_from_0_to_1(layer: str | None, depth: int, image: Tensor) -> None:
    torch.manual_seed(0)
    network = replace(Config.tiny(), depth=depth).build(RAF_DB).train()
    found = grad_cam(network, image, layer=layer)
    assert found.shape == (3, 6, 6)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert set(found.max((1, 2))) <= {0.0, 1.0}
    assert network.training
    assert not network.landmark.training
    assert all(p.grad is None for p in network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_the_predicted_class_is_the_default(network: ProductCross, image: Tensor) -> None:
    with torch.no_grad():
        predicted = network.eval()(image).logits.argmax(1)
    assert np.array_equal(grad_cam(network, image), grad_cam(network, image, classes=predicted))


def test_a_layer_without_gradient_is_an_error(network: ProductCross, image: Tensor) -> None:
    with torch.no_grad():
        network.head.weight.zero_()
    with pytest.raises(ConfigError, match="do not depend"):
        grad_cam(network, image)
    with pytest.raises(ConfigError, match="Did you mean: f_fusion"):
        grad_cam(network, image, layer="f_fuson")


@pytest.mark.parametrize("cross", [True, False])
def test_attention_is_the_row_of_the_class_token(cross: bool, image: Tensor) -> None:
    torch.manual_seed(0)
    network = replace(Config.tiny(), cross=cross).build(RAF_DB).eval()
    with torch.no_grad():
        rows = network.class_attention(image)
        maps = network.forward_maps(image)
        fusion, landmark = network.forward_tokens(maps)
        asking, answering = network.blocks[-1].streams(fusion, landmark)
        whole = network.blocks[-1].attn.weights(asking, answering)
    assert rows.shape == (3, 2, 6, 6)
    torch.testing.assert_close(rows[:, -1].flatten(1), whole.mean(1)[:, 0, 1:])
    assert ((rows.sum((2, 3)) + whole.mean(1)[:, :1, 0]) <= 1.5).all()
    found = attention_maps(network, image)
    assert found.shape == (3, 2, 6, 6)
    np.testing.assert_array_equal(found.min((2, 3)), 0)
    np.testing.assert_array_equal(found.max((2, 3)), 1)


def test_heat_maps_are_stretched_by_image(network: ProductCross, image: Tensor) -> None:
    with torch.no_grad():
        raw = network.eval()(image).heatmap[:, 0].numpy()
    expected = np.stack([(m - m.min()) / (m.max() - m.min()) for m in raw])
    np.testing.assert_allclose(heat_maps(network, image), expected, rtol=1e-5, atol=1e-6)


def test_constant_maps_stay_zero() -> None:
    assert not stretched(np.zeros((2, 3, 3), np.float32), from_zero=True).any()
    assert not stretched(np.full((2, 3, 3), 7, np.float32)).any()
    assert stretched(np.array([[1, 2]], np.float32)[None], from_zero=True).tolist() == [[[0.5, 1.0]]]


def test_an_overlay_is_blue_at_0_and_red_at_1() -> None:
    face = np.full((40, 40, 3), 100, np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[3, 3] = 1
    drawn = overlay(face, heat)
    assert drawn.shape == face.shape
    assert drawn.dtype == np.uint8
    assert drawn[0, 0].tolist() == [60, 60, 111]
    assert drawn[-1, -1].tolist() == [111, 60, 60]
    assert (face == 100).all()


def test_a_face_is_explained_as_it_is_not_with_its_mirror_image(network: ProductCross, image: Tensor) -> None:
    both = replace(Config.tiny(), flip_test=True).build(RAF_DB)
    both.load_state_dict(network.state_dict())
    for draw in (grad_cam, heat_maps, attention_maps):
        np.testing.assert_array_equal(draw(both, image), draw(network, image))
    assert both.flip_test
