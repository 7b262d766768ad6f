"""A network of face and voice from its configuration to the rows of a clip: exported, loaded, fed with a drawn clip."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import mien
from mien.data.synthetic_voices import render_voice, write_clip, write_wav
from mien.deploy.export import export_bundle
from mien.models.gcsa_av import Config
from mien.predict.watch import VideoOptions
from mien.schema.labels import BASIC_7

FACTS = {"recipe": "none", "seed": 0, "commit": "none", "data_fingerprint": "none"}
LICENCES = {"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "none"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", 3, 0)


def bundle(folder: Path, **changes) -> Path:
    import torch

    torch.manual_seed(0)
    config = replace(Config.tiny(), **changes)
    return export_bundle(
        config.build(BASIC_7),
        name="heard",
        model="gcsa_av",
        model_config=asdict(config),
        inputs=config.inputs(),
        labels=BASIC_7,
        task={"name": "classify"},
        out=folder / "heard",
        provenance=FACTS,
        licences=LICENCES,
    ).path


def test_face_and_voice_of_a_drawn_clip(clip: Path, tmp_path: Path) -> None:
    reader = mien.load(bundle(tmp_path, weights=(2, 3)), finder=None)
    result = reader(clip, video=VideoOptions(smoothing="none"))
    assert [row.time_s for row in result] == pytest.approx([0.64, 0.84, 1.04, 1.24])
    assert {(row.modalities, row.face_id) for row in result} == {("face+voice", 0)}
    np.testing.assert_allclose([row.w_voice for row in result], 0.4, atol=1e-5)
    voice = reader(write_wav(tmp_path / "voice.wav", render_voice(3, 0)[0]), video=VideoOptions(smoothing="none"))
    assert {(row.modalities, row.w_voice) for row in voice} == {("voice", 1.0)}
    assert not np.allclose(voice[0].probabilities, result[0].probabilities, atol=1e-4)


@pytest.mark.parametrize(("kind", "modalities"), [("a", "voice"), ("v", "face")])
def test_networks_of_one_kind(clip: Path, tmp_path: Path, kind: str, modalities: str) -> None:
    result = mien.load(bundle(tmp_path, modality=kind), finder=None)(clip)
    assert len(result) == 4
    assert {row.modalities for row in result} == {modalities}
    assert all(row.raw is not None for row in result)


def test_real_clips(mien_data: Path, tmp_path: Path) -> None:
    reader = mien.load(bundle(tmp_path), quality=None)
    talking = reader(mien_data / "video" / "grid_bbaf2n.mpg", video=VideoOptions(smoothing="none"))
    assert {(row.modalities, row.face_id, row.status) for row in talking} == {("face+voice", 0, "ok")}
    assert all(row.face is not None and row.frame == round(row.time_s * 25) for row in talking)
    steps = np.diff([row.time_s for row in talking])
    np.testing.assert_allclose(steps, 0.2, atol=1e-9)
    leaving = reader(mien_data / "video" / "pyfeat_face_noface.mov", video=VideoOptions(smoothing="none"))
    kinds = [row.modalities.split("+")[0] for row in leaving]
    assert kinds[0] == "face"
    assert kinds[-1] != "face"
    (spoken,) = (mien_data / "speech" / "ravdess").glob("03-01-03-02-01-01-05.flac")
    voice = reader(spoken, video=VideoOptions(smoothing="none"))
    assert "voice" in {row.modalities for row in voice}
    assert {row.modalities for row in voice} <= {"voice", ""}
