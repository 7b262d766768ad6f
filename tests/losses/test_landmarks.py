from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mien.losses.landmarks import SmoothL1, Wing, wing
from mien.schema.errors import ConfigError


def test_wing_equals_the_written_formula(rng: np.random.Generator) -> None:
    for width, epsilon in ((10.0, 2.0), (5.0, 0.5)):
        errors = np.concatenate((rng.normal(0, 8, 50), [0.0, width, -width]))
        seam = width - width * np.log(1 + width / epsilon)
        expected = [
            width * np.log(1 + abs(e) / epsilon) if abs(e) < width else abs(e) - seam for e in errors
        ]  # equation 5
        np.testing.assert_allclose(wing(torch.from_numpy(errors), width, epsilon).numpy(), expected, rtol=1e-12)


def test_wing_has_no_step_at_its_seam_and_finite_gradients() -> None:
    x = torch.tensor([9.99999, 10.00001, 0.0], dtype=torch.float64, requires_grad=True)
    y = wing(x, 10.0, 2.0)
    y.sum().backward()
    assert abs(y[0] - y[1]).item() < 1e-4
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_losses_count_in_pixels_of_the_crop() -> None:
    outputs = SimpleNamespace(landmarks=torch.full((2, 136), 0.5))
    targets = {"landmarks": torch.full((2, 136), 0.5 + 4 / 256)}
    assert Wing().build()(outputs, targets)["loss"].item() == pytest.approx(10 * np.log(1 + 4 / 2), rel=1e-5)
    targets = {"landmarks": torch.full((2, 136), 0.5 + 3 / 112)}
    assert SmoothL1().build()(outputs, targets)["loss"].item() == pytest.approx(3 - 0.5, rel=1e-5)
    targets = {"landmarks": torch.full((2, 136), 0.5 - 0.5 / 112)}
    assert SmoothL1().build()(outputs, targets)["loss"].item() == pytest.approx(0.5**2 / 2, rel=1e-5)


def test_lengths_are_positive() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        Wing(curvature_px=0.0)
    with pytest.raises(ConfigError, match="above 0"):
        SmoothL1(beta_px=-1.0)
