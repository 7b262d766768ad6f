"""GCSA-AV on small trees: trained, stopped and resumed, its proportion searched, measured, voices alone."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mien.data.aff_wild2_writer import read_submission
from mien.data.augment import Augment
from mien.data.readers import DatasetWarning, read_dataset
from mien.data.readers import aff_wild2 as aff_wild2_reader
from mien.data.splits import DataConfig
from mien.data.synthetic_clips import render_clip
from mien.data.synthetic_voices import render_voice, write_wav
from mien.deploy.attach import attach_encoders
from mien.engine import fit as module
from mien.engine.evaluate import evaluate
from mien.engine.finish import with_proportion
from mien.engine.fit import fit
from mien.engine.journal import read_journal
from mien.engine.material import counts_in, gather, labels_in
from mien.engine.measure_moments import answer_moments
from mien.engine.run import Run
from mien.engine.submit import submit
from mien.engine.submit_frames import frames_of
from mien.losses.coarse_fine import CoarseFine
from mien.predict.bundle_encoder import bundle_encoder
from mien.predict.loading import load
from mien.recipes import find
from mien.runtime.bundle import find_bundle
from mien.schema.errors import BundleError, ConfigError, DatasetError
from mien.schema.labels import AFF_WILD2, BASIC_7, RAVDESS
from mien.schema.sample import FrameFolder
from mien.tasks.fuse import find_proportion

TINY = find("gcsa_av_synthetic_tiny")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    kept: dict[str, Any] = {}

    def export(run, network, labels, task, record, samples, out):
        kept.update(run=run, network=network, task=task, samples=samples)
        return out / "bundle"

    monkeypatch.setattr(module, "export", export)
    return kept


def aff_wild2(root: Path) -> None:
    """Three videos of twelve frames at 10 a second, one of them without sound; of the last some frames have no face."""
    parts = {"a": ("Train_Set", range(12)), "b_left": ("Train_Set", range(12)), "c": ("Validation_Set", (0, 1, 5, 6))}
    for index, (name, (part, numbers)) in enumerate(parts.items()):
        labels = [-1 if number == 2 else (number + index) % 8 for number in range(12)]
        text = root / "8th_ABAW_Annotations" / "EXPR_Recognition_Challenge" / part / f"{name}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        header = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
        text.write_text("\n".join([header, *map(str, labels)]) + "\n")
        folder = root / "cropped_aligned" / name
        folder.mkdir(parents=True)
        images = render_clip(index, 0, list(numbers))[0]
        for number, image in zip(numbers, images, strict=True):
            cv2.imwrite(str(folder / f"{number + 1:05d}.jpg"), cv2.resize(image, (32, 32))[..., ::-1])
        if name != "a":
            write_wav(root / f"{name.removesuffix('_left')}.wav", render_voice(index, 0)[0])
    (root / "frame_rates.csv").write_text("video,rate\n*,10\n")


def tiny(name: str, **changes) -> Run:
    """A run with the network of the tests, two short epochs."""
    run = find(name)
    model = replace(TINY.model, modality=run.model.modality, frames=run.model.frames)
    train = replace(TINY.train, batch_size=4, steps=2, sampler=run.train.sampler, monitor=run.train.monitor)
    return replace(run, model=model, train=train, **changes)


def test_frames_are_trained_on_resumed_measured_and_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = tmp_path / "tree", tmp_path / "run"
    aff_wild2(root)
    run = tiny("gcsa_av_aff_wild2", loss=CoarseFine(mode="confusion"))
    looks = iter((module.evaluate,))
    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate", lambda *given: next(looks)(*given))
        with pytest.raises(StopIteration):
            fit(run, root=root, out=out, progress=False)
    bundle = find_bundle(fit(run, root=root, out=out, resume=True, progress=False))
    record = json.loads((out / "run.json").read_text())
    assert record["data"]["train"] == 2
    assert sum(record["data"]["train_per_class"].values()) == 22, "frames, not videos"
    rows = read_journal(out / "journal.csv")
    assert [row["images"] for row in rows] == ["8", "8"]
    mu = [max(float(row[f"train_mu_{pair}"]) for pair in ("12", "13", "14", "23", "24", "34")) for row in rows]
    assert mu == pytest.approx([0.0, 0.1]), "the penalties of the first epoch were kept when the run was stopped"
    found = json.loads((out / "proportion.json").read_text())
    assert tuple(bundle.model_config["weights"]) == tuple(found["weights"])
    assert np.array(found["macro_f1"]).shape == (5, 5)

    report = evaluate(
        bundle, "aff_wild2", root=root, crop="whole", out=tmp_path / "report", resamples=5, progress=False
    )
    assert report["faces"] == 11
    with (tmp_path / "report" / "answers.csv").open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert [row["key"] for row in answers] == [f"c#{n:05d}" for n in range(1, 13) if n != 3]
    assert [row["truth"] for row in answers] == [AFF_WILD2.names[(n + 2) % 8] for n in range(12) if n != 2]
    assert {row["group"] for row in answers} == {"c"}
    chances = {int(row["key"][-5:]) - 1: [row[f"p_{name}"] for name in AFF_WILD2.names] for row in answers}
    for number, nearest in ((3, 1), (4, 5), (7, 6), (11, 6)):
        assert chances[number] == chances[nearest]
    assert chances[0] != chances[1]
    smooth = evaluate(bundle, "aff_wild2", root=root, crop="whole", smooth=99, resamples=5, progress=False)
    assert smooth["runtime"]["smooth"] == 99
    assert sum(entry["answered"] > 0 for entry in smooth["per_class"].values()) == 1, "all frames have the same mean"
    with pytest.raises(ConfigError, match="an odd number"):
        evaluate(bundle, "aff_wild2", root=root, crop="whole", smooth=2, progress=False)

    written = submit(
        bundle, "aff_wild2", tmp_path / "valid.txt", root=root, split="valid", crop="whole", progress=False
    )
    (answered,) = read_submission(written).items()
    assert answered[0] == "c"
    assert len(answered[1]) == 12, "frames without a label are answered, too"
    told = {row["key"]: row["label"] for row in answers}
    assert {f"c#{n:05d}": label for n, label in enumerate(answered[1], start=1) if n != 3} == told


def test_a_challenge_is_answered_for_videos_without_labels(tmp_path: Path) -> None:
    aff_wild2(tmp_path)
    folder = tmp_path / "cropped_aligned" / "d_right"
    folder.mkdir()
    for number, image in zip((2, 7), render_clip(3, 0, [2, 7])[0], strict=True):
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), image[..., ::-1])
    (tmp_path / "Expression_Classification_Challenge_test_set_release.txt").write_text("d_right\n\n")
    samples = aff_wild2_reader.read(tmp_path)
    (video,) = (sample for sample in samples if sample.split == "test")
    assert video.targets.frames is None
    frames = list(frames_of(video))
    assert [frame.frame for frame in frames] == list(range(7)), "as many as there are pictures, as no video tells more"
    assert [frame.key for frame in frames][::6] == ["d_right#00001", "d_right#00007"]
    with pytest.raises(DatasetError, match="How many frames e has is unknown"):
        list(frames_of(replace(video, key="e", source=FrameFolder((tmp_path / "no",)))))
    with pytest.raises(ConfigError, match="There is no challenge 'ferplus'"):
        submit("product_cross_small", "ferplus", tmp_path / "s.txt")
    with pytest.raises(ConfigError, match="has no use for smooth"):
        submit("product_cross_small", "hume_reaction", tmp_path / "s.txt", smooth=3)
    with pytest.raises(BundleError, match="the expression in each frame"):
        submit("product_cross_small", "aff_wild2", tmp_path / "s.txt", root=tmp_path)


def face_rows(root: Path, *names: str) -> Path:
    """A row for each frame of some videos, none for the last three of a video and zeros for the second one."""
    rng = np.random.default_rng(5)
    root.mkdir()
    for name in names:
        rows = rng.normal(size=(9, TINY.model.feature_width)).astype(np.float32)
        rows[1] = 0
        np.save(root / f"{name}.npy", rows)
    return root


def of_features(folder: Path | str, modality: str = "va", **changes) -> Run:
    run = tiny("gcsa_av_aff_wild2", **({"proportion": "given"} if modality == "v" else {}))
    model = replace(run.model, modality=modality, visual_net="features")
    return replace(run, model=model, features=(("face_features", str(folder)),), **changes)


def no_pictures(root: Path) -> None:
    aff_wild2(root)
    shutil.rmtree(root / "cropped_aligned")


@pytest.mark.parametrize("modality", ["v", "va"])
def test_features_of_a_face_are_trained_on_measured_and_answered_with(modality: str, tmp_path: Path) -> None:
    root, out = tmp_path / "tree", tmp_path / "run"
    no_pictures(root)
    folder = face_rows(tmp_path / "faces", "a", "c")
    run = of_features(folder, modality)
    material = gather(run, root, progress=False)
    assert len(material.train) == 7, "frames with a label and a row; b_left has no rows, and a voice only for va"
    assert len(material.train.items) == {"v": 1, "va": 2}[modality]
    assert material.dropped == ({"train: nothing that the network can read": 1} if modality == "v" else {})
    bundle = find_bundle(fit(run, root=root, out=out, progress=False))
    assert bundle.inputs == run.model.inputs()
    told = {"from": str(folder), "encoder": "NumPy files", "weights": "unknown"}
    assert bundle.provenance["features"] == {"face_features": told}
    card = (bundle.path / "README.md").read_text()
    assert "12 features of a frame of the face from each of 4 equal parts of 1.28 s around a moment" in card

    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(DatasetError, match=f"There is no folder {folder}"):
        evaluate(bundle, "aff_wild2", root=root, resamples=2, progress=False)
    given = {"face_features": str(moved)}
    how = {"root": root, "features": given, "progress": False}
    report = evaluate(bundle, "aff_wild2", out=tmp_path / "report", resamples=2, **how)
    assert report["faces"] == 11
    assert report["runtime"]["features"] == {"face_features": {**told, "from": str(moved)}}
    with (tmp_path / "report" / "answers.csv").open(newline="") as file:
        answers = {row["key"]: row for row in csv.DictReader(file)}
    chances = {int(key[-5:]) - 1: [row[f"p_{name}"] for name in AFF_WILD2.names] for key, row in answers.items()}
    for number, nearest in ((1, 0), (9, 8), (11, 8)):
        assert chances[number] == chances[nearest], "frames without a row have the answer of the nearest that has one"
    assert chances[3] != chances[8]
    written = submit(bundle, "aff_wild2", tmp_path / "valid.txt", split="valid", **how)
    (labels,) = read_submission(written).values()
    submitted = {f"c#{n:05d}": label for n, label in enumerate(labels, start=1) if n != 3}
    assert submitted == {key: row["label"] for key, row in answers.items()}
    with pytest.raises(BundleError, match=r"does not look at faces.*--features face_features=DIR"):
        load(bundle.path)
    with pytest.raises(BundleError, match="reads no videos and needs no encoder"):
        attach_encoders(bundle, {"face_features": find_bundle("product_cross_small").path})
    with pytest.raises(ConfigError, match=r"name a folder of it .*Given: none"):
        evaluate(bundle, "aff_wild2", root=root, features={"faces": str(moved)}, progress=False)
    if modality == "va":
        assert bundle_encoder(bundle).modality == "sound", "it listens without its face"


def test_features_of_mien_features_are_held_to_their_encoder(tmp_path: Path, write_features) -> None:
    root, width = tmp_path / "tree", TINY.model.feature_width
    no_pictures(root)
    part = {name: np.random.default_rng(1).normal(size=(3, width)).astype(np.float32) for name in ("a", "b_left", "c")}
    own = write_features(tmp_path / "own", [part], width=width)
    bundle = find_bundle(fit(of_features(own), root=root, out=tmp_path / "run", progress=False))
    assert bundle.provenance["features"]["face_features"]["encoder"] == "tiny"
    report = evaluate(bundle, "aff_wild2", root=root, resamples=2, progress=False)
    assert report["faces"] == 11
    other = write_features(tmp_path / "other", [part], width=width, weights="1" * 64)
    arrays = face_rows(tmp_path / "arrays", "c")
    for folder, named in ((other, "the encoder tiny@111111111111"), (arrays, "NumPy files")):
        with pytest.raises(BundleError, match=f"trained on face_features of the encoder tiny@000000000000; .*{named}"):
            evaluate(bundle, "aff_wild2", root=root, features={"face_features": str(folder)}, progress=False)
    random = write_features(tmp_path / "random", [part], width=width, weights="random")
    with pytest.raises(DatasetError, match="random weights, which mean nothing"):
        gather(of_features(random), root, progress=False)
    assert len(gather(of_features(random, random_features=True), root, progress=False).train.items) == 2


def test_an_ensemble_of_faces_and_of_features_of_them(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    aff_wild2(root)
    folder = face_rows(tmp_path / "faces", "a", "b_left", "c")
    told = fit(of_features(folder, "v"), root=root, out=tmp_path / "told", progress=False)
    looks = tiny("gcsa_av_aff_wild2", proportion="given")
    looks = replace(looks, model=replace(looks.model, modality="v"))
    seen = fit(looks, root=root, out=tmp_path / "seen", progress=False)
    how = {"root": root, "crop": "whole", "progress": False}
    report = evaluate(told, "aff_wild2", others=(seen,), resamples=2, **how)
    assert report["faces"] == 11
    with pytest.raises(ConfigError, match="features are for models that read them"):
        evaluate(seen, "aff_wild2", features={"face_features": str(folder)}, **how)
    with pytest.raises(ConfigError, match="features are for models that read them"):
        submit(seen, "aff_wild2", tmp_path / "s.txt", split="valid", features={"face_features": "f"}, **how)


def test_runs_of_features_that_cannot_be_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    no_pictures(root)
    folder = face_rows(tmp_path / "faces", "a", "c")
    run = of_features(folder, "v")
    for changes in ({"visual_net": "rhcnn"}, {"modality": "a"}):
        with pytest.raises(ConfigError, match="such as gcsa_av with visual_net=features"):
            replace(run, model=replace(run.model, **changes))
    with pytest.raises(ConfigError, match="set task=classify"):
        replace(run, task="regress", augment=Augment())
    with pytest.raises(ConfigError, match=r"told of a face by face_features; .* as face_features=DIR. Given: none"):
        gather(replace(run, features=()), root, progress=False)
    with pytest.raises(ConfigError, match="Given: face_features, sound_features"):
        gather(replace(run, features=(*run.features, ("sound_features", "x"))), root, progress=False)
    with pytest.raises(ConfigError, match="'face_features' are named twice"):
        gather(replace(run, features=run.features * 2), root, progress=False)
    rows = np.load(folder / "a.npy", allow_pickle=False)
    broken = rows.copy()
    broken[4, 2] = np.nan
    for content, message in ((broken, "numbers that are not finite in row 4"), (rows[:, :5], "5 features a row")):
        np.save(folder / "a.npy", content)
        with pytest.raises(DatasetError, match=rf"a\.npy has {message}"):
            gather(run, root, progress=False)
    np.save(folder / "a.npy", 0 * rows)
    with pytest.raises(DatasetError, match="gcsa_av needs features of a face, and 'aff_wild2' has none"):
        gather(run, root, progress=False)


def test_clips_judged_as_a_whole_are_told_of_faces(tmp_path: Path, no_export: dict[str, Any]) -> None:
    rng, folder = np.random.default_rng(0), tmp_path / "faces"
    for sample in read_dataset(TINY.data.reader):
        path = folder / f"{sample.key}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rng.normal(size=(48, TINY.model.feature_width)).astype(np.float16))
    run = replace(TINY, model=replace(TINY.model, visual_net="features"), train=replace(TINY.train, epochs=1))
    fit(
        replace(run, features=(("face_features", str(folder)),)),
        out=tmp_path / "run",
        device="cpu",
        progress=False,
    )
    samples = no_export["samples"]
    assert samples["face_features"].shape == (len(samples["has_face"]), 4, TINY.model.feature_width)
    assert samples["has_face"].all()
    assert samples["has_sound"].all()


def ravdess(root: Path) -> None:
    for actor, index in ((1, 0), (2, 7), (17, 14)):
        for emotion in range(1, 9):
            name = f"03-01-{emotion:02d}-01-01-01-{actor:02d}.wav"
            label = RAVDESS.names[emotion - 1]
            drawn = index + (BASIC_7.index(label) if label in BASIC_7 else 0)
            (root / f"Actor_{actor:02d}").mkdir(parents=True, exist_ok=True)
            write_wav(root / f"Actor_{actor:02d}" / name, render_voice(drawn, 0)[0])


@pytest.mark.filterwarnings("ignore::mien.data.readers.DatasetWarning")
def test_voices_alone_are_learnt_and_pooled_by_utterance(tmp_path: Path) -> None:
    root, out = tmp_path / "tree", tmp_path / "run"
    ravdess(root)
    run = tiny("gcsa_av_ravdess_voice")
    material = gather(run, root, progress=False)
    assert len(material.train) == 16
    assert len(material.select.items) == 8 < len(material.select)
    assert material.alignment == {"train": {}, "select": {}}
    bundle = find_bundle(fit(run, root=root, out=out, progress=False))
    assert bundle.inputs.keys() == {"sound"}
    report = evaluate(bundle, "ravdess", root=root, resamples=5, progress=False)
    assert report["faces"] == 8
    assert report["alignment"] == {"voice alone": 8}
    selected = json.loads((out / "run.json").read_text())["select"]
    assert report["metrics"]["accuracy"]["value"] == pytest.approx(selected["accuracy"])
    assert report["metrics"]["nll"]["value"] == pytest.approx(selected["nll"], abs=0.02)


def test_drawn_faces_and_voices_are_trained_on_together(tmp_path: Path, no_export: dict[str, Any]) -> None:
    fit(replace(TINY, train=replace(TINY.train, epochs=1)), out=tmp_path, device="cpu", progress=False)
    run, network = no_export["run"], no_export["network"]
    assert isinstance(run, Run)
    assert network.config == run.model
    samples = no_export["samples"]
    assert {name: array.shape[1:] for name, array in samples.items()} == {
        name: spec.shape for name, spec in run.model.inputs().items()
    }


def test_a_network_that_only_listens_needs_voices() -> None:
    faces = DataConfig(reader="synthetic_clips", limit=7)
    model = replace(TINY.model, modality="a")
    with pytest.raises(DatasetError, match="gcsa_av needs a voice, and 'synthetic_clips' has none"):
        gather(replace(TINY, data=faces, model=model, proportion="given"), None, progress=False)
    voices = DataConfig(reader="synthetic_voices", limit=7)
    with pytest.raises(DatasetError, match="gcsa_av needs pictures, and 'synthetic_voices' has none"):
        gather(replace(TINY, data=voices, model=replace(model, modality="v"), proportion="given"), None, progress=False)
    mixed = replace(TINY, augment=replace(TINY.augment, mixup=0.2), loss=CoarseFine(target="distribution"))
    with pytest.raises(ConfigError, match="moments cannot be mixed"):
        gather(mixed, None, progress=False)


def test_what_cannot_be_read_is_left_out_of_training_and_refused_in_measuring(tmp_path: Path) -> None:
    for part, folder, name in (("train", "Happy", "1"), ("train", "Sad", "2"), ("validation", "Happy", "3")):
        text = f"d/AFEW_Face/{part}/{folder}/{name} 4 0\n"
        with (tmp_path / f"AFEW_{part}.txt").open("a") as file:
            file.write(text)
        frames = tmp_path / "AFEW_Face" / part / folder / name
        frames.mkdir(parents=True)
        if name != "2":
            cv2.imwrite(str(frames / "1.png"), render_clip(0, 0, [0])[0][0])
    run = tiny("gcsa_av_pairs", proportion="given", crop="whole", data=DataConfig(reader="afew"))
    run = replace(run, model=replace(run.model, modality="v"))
    with pytest.warns(DatasetWarning):
        material = gather(run, tmp_path, progress=False)
    assert material.dropped == {"train: nothing that the network can read": 1}
    assert len(material.train) == 1
    nothing = replace(material.train.items[0].sample, source=FrameFolder((tmp_path,)))
    inputs = run.model.inputs()
    with pytest.raises(
        DatasetError, match=r"1 of 1 samples have nothing that a network of clip can read, e\.g\. train/1"
    ):
        answer_moments(lambda **arrays: {}, inputs, [nothing], dataset="afew", crop="whole", progress=False)


def test_moments_are_counted_by_their_own_labels(tmp_path: Path) -> None:
    aff_wild2(tmp_path)
    material = gather(tiny("gcsa_av_aff_wild2"), tmp_path, progress=False)
    labels = labels_in(material.train)
    assert labels.tolist() == [n % 8 for n in range(12) if n != 2] + [(n + 1) % 8 for n in range(12) if n != 2]
    assert counts_in(material.train, 8).tolist() == np.bincount(labels, minlength=8).tolist()
    assert material.alignment["train"] == {"none": 2}


def test_the_proportion_is_that_of_the_best_macro_f1() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 7, 300)
    voice, face = (3 * np.eye(7)[truth] + rng.normal(0, spread, (300, 7)) for spread in (4.0, 1.5))
    outputs = {"voice_logits": voice.astype(np.float32), "face_logits": face.astype(np.float32)}
    flags = {"has_sound": np.ones(300, np.float32), "has_face": np.ones(300, np.float32)}
    run, found = with_proportion(TINY, outputs, {"label": truth, **flags})
    shares = [torch.from_numpy(one).softmax(1).numpy() for one in outputs.values()]
    assert run.model.weights == found.weights == find_proportion(truth, *shares).weights
    m, n = found.weights
    assert m < n, "the face is right more often"
