"""Runs as values: what is written is what is read, and every field can be changed by its path."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mien.data.augment import Augment
from mien.data.splits import DataConfig
from mien.engine.optim import Optimizer
from mien.engine.run import Run, TrainConfig, find_run, from_json, main, override, read_run, to_json
from mien.losses.neutral_anchor import NeutralAnchor
from mien.models.product_cross import SmallConfig
from mien.schema.errors import ConfigError

RUN = Run(
    name="mine",
    architecture="product_cross_small",
    model=SmallConfig.tiny(),
    data=DataConfig(reader="synthetic", labels=("neutral", "anger")),
    loss=NeutralAnchor(smoothing=0.1),
    augment=Augment(flip=0.5),
    train=TrainConfig(sizes=((0.0, 48), (0.5, 64)), optimizer=Optimizer(lr=3e-4)),
    weights=(("image", "ir50.pth"),),
    freeze=("image",),
)


def test_a_run_survives_json():
    assert from_json(json.loads(json.dumps(to_json(RUN)))) == RUN


def test_a_run_is_read_from_its_file_alone_or_among_other_records(tmp_path):
    for name, content in (("a.json", to_json(RUN)), ("b.json", {"run": to_json(RUN), "commit": "abc"})):
        (tmp_path / name).write_text(json.dumps(content))
        assert read_run(tmp_path / name) == RUN
        assert find_run(str(tmp_path / name)) == RUN


@pytest.mark.parametrize("content", ["", "[]", '{"type": "os:system"}', '{"type": "mien.engine.run:TrainConfig"}'])
def test_a_file_that_is_no_run_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ConfigError):
        read_run(tmp_path / "run.json")


def test_only_configurations_of_this_package_are_built():
    for kind in ("subprocess:Popen", "mien.engine.run:main", "mien.nothing:Config", "mien.engine.run:Nothing"):
        with pytest.raises(ConfigError, match="another version"):
            from_json({"type": kind})
    with pytest.raises(ConfigError, match="nonsense"):
        from_json({**to_json(RUN), "nonsense": 1})


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("seed", "3", lambda run: run.seed == 3),
        ("prior", "landmarks", lambda run: run.prior == "landmarks"),
        ("train.optimizer.lr", "1e-4", lambda run: run.train.optimizer.lr == 1e-4),
        ("train.time_limit_min", "5", lambda run: run.train.time_limit_min == 5.0),
        ("train.sizes", "[[0, 32]]", lambda run: run.train.sizes == ((0, 32),)),
        ("model.dot", "false", lambda run: run.model.dot is False),
        ("model.cross", "False", lambda run: run.model.cross is False),
        ("data.labels", "null", lambda run: run.data.labels is None),
        ("loss.kind", "none", lambda run: run.loss.kind == "none"),
    ],
)
def test_a_field_is_changed_by_its_path(path, text, found):
    changed = override(RUN, path, text)
    assert found(changed)
    assert type(changed.train.time_limit_min) is float
    assert override(changed, "name", "other").name == "other"


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("train.speed", "3", "train.speed.*epochs"),
        ("seed.value", "3", "no fields"),
        ("train.epochs", "many", "train.epochs is 30"),
        ("train.epochs", "2.5", "train.epochs is 30"),
        ("train.epochs", "0", "at least 1"),
    ],
)
def test_what_does_not_fit_is_told(path, text, message):
    with pytest.raises(ConfigError, match=message):
        override(RUN, path, text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("clip_norm", -1.0),
        ("ema_decay", 1.0),
        ("sizes", ((0.5, 64),)),
        ("sizes", ((0.0, 64), (1.0, 112))),
        ("sizes", ((0.0, 64), (0.5, 96), (0.4, 112))),
    ],
)
def test_impossible_training_settings_are_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        TrainConfig(**{field: value})
    with pytest.raises(ConfigError, match="together"):
        TrainConfig(sam_rho=0.05, accumulate=2)


def test_mixed_pictures_need_mixed_labels():
    with pytest.raises(ConfigError, match=r"loss\.target"):
        replace(RUN, augment=Augment(mixup=0.2))
    soft = replace(RUN, loss=replace(RUN.loss, target="distribution"), augment=Augment(cutmix=1.0))
    with pytest.raises(ConfigError, match="landmarks"):
        replace(soft, task="landmarks")


def test_the_size_of_the_input_follows_the_progress():
    train = TrainConfig(sizes=((0.0, 48), (0.5, 64), (0.8, 112)))
    assert [train.size_px(p) for p in (0.0, 0.49, 0.5, 0.79, 0.8, 1.0)] == [48, 48, 64, 64, 112, 112]
    assert TrainConfig().size_px(0.5) is None


def test_the_shell_form_changes_fields_and_reports_errors(tmp_path, monkeypatch, capsys):
    seen: dict[str, Any] = {}

    def fit(run, **options):
        seen.update(run=run, **options)
        return tmp_path / "bundle"

    monkeypatch.setattr("mien.engine.fit.fit", fit)
    asked = ["product_cross_small_synthetic_tiny", "--seed", "5", "--out", str(tmp_path), "--set", "train.epochs=9"]
    assert main([*asked, "--set", "train.tensorboard", "--resume"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "bundle")
    assert (seen["run"].seed, seen["run"].train.epochs, seen["resume"]) == (5, 9, True)
    assert seen["run"].train.tensorboard is True
    assert main(["product_cross_smal"]) == 2
    assert "Did you mean" in capsys.readouterr().err


def test_a_run_is_a_value():
    assert replace(RUN) == RUN
    assert hash(RUN) == hash(replace(RUN))
