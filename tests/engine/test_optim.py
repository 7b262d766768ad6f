"""Optimizers, schedules, moving averages and sharpness-aware steps against torch's own or a few lines of arithmetic."""

import math

import pytest
import torch
from torch import nn

from mien.engine.optim import Optimizer, Plateau, Schedule, ascend, descend, moving_average, parameter_groups, set_rate
from mien.models.product_cross import SmallConfig
from mien.schema.errors import ConfigError
from mien.schema.labels import BASIC_7


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.Flatten(), nn.Linear(4 * 36, 2))


def test_decay_touches_matrices_only():
    model = SmallConfig.tiny().build(BASIC_7)
    decayed, plain = parameter_groups(model, 0.05)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.05, 0.0)
    without = {names[id(p)] for p in plain["params"]}
    assert {"fusion_tokens.cls_token", "landmark_tokens.pos_embed", "head.bias", "norm.weight"} <= without
    assert "head.weight" in {names[id(p)] for p in decayed["params"]}
    assert not any(name.startswith("landmark.") for name in names.values() if name in without)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) == len(decayed["params"]) + len(plain["params"])


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_each_optimizer_has_its_name(name, kind):
    built = Optimizer(name=name, lr=0.1, weight_decay=0.01, momentum=0.8).build(network())
    assert type(built) is kind
    assert {group["lr"] for group in built.param_groups} == {0.1}
    if name == "sgd":
        assert built.param_groups[0]["momentum"] == 0.8
        assert built.param_groups[0]["nesterov"]
    set_rate(built, 0.5)
    assert {group["lr"] for group in built.param_groups} == {0.5}


def test_parts_have_learning_rates_of_their_own():
    model = network()
    built = Optimizer(name="adamw", lr=0.1, weight_decay=0.01, lr_ratios=(("0", 0.5),)).build(model)
    set_rate(built, 0.2)
    rates = {id(p): (group["lr"], group["weight_decay"]) for group in built.param_groups for p in group["params"]}
    assert rates[id(model[0].weight)] == (0.1, 0.01)
    assert rates[id(model[0].bias)] == (0.1, 0.0)
    assert rates[id(model[4].weight)] == (0.2, 0.01)
    assert rates[id(model[1].weight)] == (0.2, 0.0)
    assert len(rates) == len(list(model.parameters()))
    with pytest.raises(ConfigError, match=r"nothing is called 'trunk'.*0, 1, 2, 3, 4"):
        Optimizer(lr_ratios=(("trunk", 0.5),)).build(model)


def test_a_flat_cosine_is_flat_and_then_falls():
    schedule = Schedule(name="flat_cosine", warm_up=0.1, warm_up_power=2.0, flat_until=0.5, floor=0.5)
    assert [schedule.factor(p, 0) for p in (0.0, 0.05, 0.1, 0.3, 0.5)] == pytest.approx([0.0, 0.25, 1.0, 1.0, 1.0])
    assert schedule.factor(0.75, 0) == pytest.approx(0.75)
    assert schedule.factor(1.0, 0) == pytest.approx(0.5)


@pytest.mark.parametrize("fields", [{"name": "lion"}, {"lr": 0.0}, {"weight_decay": -1.0}])
def test_impossible_optimizers_are_refused(fields):
    with pytest.raises(ConfigError):
        Optimizer(**fields)
    with pytest.raises(ConfigError):
        Schedule(name="triangle")
    with pytest.raises(ConfigError):
        Schedule(warm_up=1.0)


def torch_rates(build, epochs: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = build(optimizer), []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("schedule", "build"),
    [
        (Schedule(), lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0)),
        (Schedule(name="cosine"), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20)),
        (
            Schedule(name="cosine", floor=0.1),
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20, eta_min=0.1),
        ),
        (Schedule(name="exponential", gamma=0.98), lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.98)),
        (Schedule(name="step", every_epochs=7, gamma=0.1), lambda o: torch.optim.lr_scheduler.StepLR(o, 7)),
        (
            Schedule(name="multistep", at=(0.5, 0.75), gamma=0.2),
            lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [10, 15], 0.2),
        ),
    ],
    ids=["none", "cosine", "cosine-floor", "exponential", "step", "multistep"],
)
def test_schedules_are_those_of_torch(schedule, build):
    own = [schedule.factor(epoch / 20, epoch) for epoch in range(20)]
    assert own == pytest.approx(torch_rates(build, 20), abs=1e-9)


def test_warm_up_rises_from_zero_to_the_highest_rate():
    schedule = Schedule(name="cosine", warm_up=0.1)
    rates = [schedule.factor(p / 100, 0) for p in range(101)]
    assert rates[0] == 0
    assert rates[5] == pytest.approx(0.5)
    assert rates[10] == 1
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert rates[55] == pytest.approx(0.5)


def test_warm_up_may_begin_at_a_share_of_the_highest_rate():
    schedule = Schedule(name="plateau", warm_up=0.5, warm_up_from=0.1)
    assert [schedule.factor(p, 0) for p in (0.0, 0.25, 0.5)] == pytest.approx([0.1, 0.55, 1.0])


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize(("patience", "threshold"), [(1, 0.0), (3, 0.0), (2, 0.05)])
def test_a_plateau_is_that_of_torch(mode, patience, threshold):
    schedule = Schedule(name="plateau", gamma=0.5, patience_epochs=patience, threshold=threshold)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    # torch lowers the rate after one epoch more than its patience.
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, factor=0.5, patience=patience - 1, threshold=threshold, threshold_mode="abs", eps=0.0
    )
    plateau, values = Plateau(), torch.rand(40, generator=torch.Generator().manual_seed(patience)).tolist()
    for epoch, value in enumerate(values):
        plateau.look(value, epoch, schedule, mode)
        reference.step(value)
        assert schedule.factor(epoch / 40, epoch, plateau.falls) == optimizer.param_groups[0]["lr"]
    assert plateau.falls > 2


def test_a_plateau_counts_epochs_and_not_looks():
    schedule, seldom = Schedule(name="plateau", patience_epochs=4), Plateau()
    falls = []
    for epoch in range(2, 20, 3):
        seldom.look(0.5, epoch, schedule)
        falls.append(seldom.falls)
    assert falls == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("fields", [{"patience_epochs": 0}, {"threshold": -1.0}, {"warm_up_from": 1.5}])
def test_an_impossible_plateau_is_refused(fields):
    with pytest.raises(ConfigError, match="patience_epochs is at least 1"):
        Schedule(name="plateau", **fields)


def test_the_average_follows_its_formula_in_weights_and_statistics():
    model = network()
    average = moving_average(model, 0.9)
    average.update_parameters(model)  # the first takes the weights as they are
    wanted = {name: value.clone() for name, value in model.state_dict().items()}
    for step in range(1, 30):
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter))
        model(torch.randn(8, 3, 8, 8))
        average.update_parameters(model)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            wanted[name] = decay * wanted[name] + (1 - decay) * value if value.is_floating_point() else value.clone()
    for name, value in average.module.state_dict().items():
        assert torch.allclose(value.float(), wanted[name].float(), atol=1e-5), name
    assert int(average.module[1].num_batches_tracked) == 29
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_a_sharpness_aware_step_uses_the_gradient_of_the_worst_neighbour():
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    (weight**2).sum().backward()
    gradient = torch.tensor([6.0, 8.0])
    before = ascend([weight, nn.Parameter(torch.ones(2))], rho=0.5)
    assert torch.allclose(weight, torch.tensor([3.0, 4.0]) + 0.5 * gradient / gradient.norm())
    weight.grad = None
    (weight**2).sum().backward()
    descend(before)
    assert weight.tolist() == [3.0, 4.0]
    assert torch.allclose(weight.grad, 2 * torch.tensor([3.3, 4.4]))


def test_ascent_measures_all_gradients_together():
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(4)]
    for weight in weights:
        weight.grad = torch.ones(1)
    ascend(weights, rho=1.0)
    moved = math.sqrt(sum(weight.item() ** 2 for weight in weights))
    assert moved == pytest.approx(1.0)
