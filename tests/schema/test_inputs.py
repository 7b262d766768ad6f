import json
from dataclasses import replace
from typing import Any

import pytest

from mien.schema.errors import ConfigError
from mien.schema.inputs import (
    CROPS,
    ClipSpec,
    CropSpec,
    FeatureSpec,
    FlagSpec,
    ImageSpec,
    InputSpec,
    LandmarkSpec,
    SoundSpec,
    counted_as,
    specs_from_json,
    specs_hash,
    specs_to_json,
)

CLIP = ClipSpec(n_frames=6, segments=3, stride=4, size_px=48, crop=CropSpec(eye_distance_ratio=0.4))
SPECS: dict[str, InputSpec] = {
    "image": ImageSpec(size_px=64, colour="grey", source_px=48, mean=(0.5, 0.4, 0.3)),
    "clip": CLIP,
    "landmarks": LandmarkSpec(n_frames=6, size_px=48, source_px=40),
}
SOUND = SoundSpec(n_mels=40, hop=200, f_max=7000.0, mel_scale="htk", n_frames=64)
HEARD: dict[str, InputSpec] = {"sound": SOUND, "has_sound": FlagSpec(), "has_face": FlagSpec()}


def test_the_round_trip_through_json() -> None:
    text = json.dumps(specs_to_json(SPECS))
    assert specs_from_json(json.loads(text)) == SPECS
    assert [raw["kind"] for raw in json.loads(text).values()] == ["image", "clip", "landmarks"]


@pytest.mark.parametrize(
    ("inputs", "counted"),
    [
        ({"image": SPECS["image"]}, "faces"),
        ({"clip": CLIP}, "clips"),
        ({"face_features": FeatureSpec(width=4, n_steps=5, step_s=0.2)}, "clips"),
        (HEARD, "utterances"),
        ({**HEARD, "clip": CLIP}, "utterances"),
    ],
)
def test_samples_are_called_by_what_the_network_is_fed(inputs: dict[str, InputSpec], counted: str) -> None:
    assert counted_as(inputs) == counted
    assert counted_as(inputs, "classify_frames") == "frames"


def test_shapes_are_those_of_one_input() -> None:
    assert [spec.shape for spec in SPECS.values()] == [(3, 64, 64), (6, 3, 48, 48), (6, 68, 2)]
    assert [spec.crop_px for spec in SPECS.values()] == [48, 48, 40]


def test_sound_and_flags_through_json() -> None:
    written = json.loads(json.dumps(specs_to_json(HEARD)))
    assert specs_from_json(written) == HEARD
    assert written["sound"] == {
        "kind": "sound", "sample_rate": 16_000, "n_fft": 400, "hop": 200, "n_mels": 40, "f_min": 20.0,
        "f_max": 7000.0, "mel_scale": "htk", "floor": 1e-6, "n_frames": 64,
    }  # fmt: skip
    assert written["has_face"] == {"kind": "flag"}
    assert [spec.shape for spec in HEARD.values()] == [(1, 40, 64), (), ()]
    assert len({specs_hash({"sound": spec}) for spec in (SoundSpec(), SOUND, replace(SOUND, floor=1e-5))}) == 3


def test_features_through_json() -> None:
    specs: dict[str, InputSpec] = {"sound_features": FeatureSpec(width=1024), "face_features": FeatureSpec(width=6)}
    written = json.loads(json.dumps(specs_to_json(specs)))
    assert specs_from_json(written) == specs
    assert written["face_features"] == {"kind": "features", "width": 6, "n_steps": 30, "step_s": 0.5}
    assert [(spec.shape, spec.seconds) for spec in specs.values()] == [((30, 1024), 15.0), ((30, 6), 15.0)]
    around: dict[str, InputSpec] = {"face_features": FeatureSpec(width=6, n_steps=4, step_s=0.32, around_moment=True)}
    assert specs_to_json(around)["face_features"]["around_moment"] is True
    assert specs_from_json(json.loads(json.dumps(specs_to_json(around)))) == around
    changed: tuple[dict[str, Any], ...] = (
        {},
        {"width": 7},
        {"n_steps": 31},
        {"step_s": 0.25},
        {"around_moment": True},
    )
    assert len({specs_hash({"x": replace(FeatureSpec(width=6), **fields)}) for fields in changed}) == 5
    for fields, message in (({"width": 0}, "at least 1"), ({"n_steps": 0}, "at least 1"), ({"step_s": 0.0}, "0 sec")):
        with pytest.raises(ConfigError, match=message):
            FeatureSpec(**({"width": 6} | fields))
    with pytest.raises(ConfigError, match="another version"):
        specs_from_json({"x": {"kind": "features"}})


def test_how_long_a_network_listens() -> None:
    assert (SoundSpec().n_samples, SoundSpec().seconds, SoundSpec().shape) == (20_480, 1.28, (1, 64, 128))
    assert (SOUND.n_samples, SOUND.seconds) == (12_800, 0.8)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hop": 0}, "at least 1"),
        ({"n_mels": 0}, "at least 1"),
        ({"f_max": 8000.5}, "half the sample rate, 8000 Hz"),
        ({"f_min": 9000.0}, "half the sample rate"),
        ({"f_min": -1.0}, "half the sample rate"),
        ({"mel_scale": "bark"}, "allowed: slaney, htk"),
        ({"floor": 0.0}, "above 0"),
        ({"floor": float("nan")}, "above 0"),
    ],
)
def test_sounds_that_cannot_be(fields: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SoundSpec(**fields)
    with pytest.raises(ConfigError, match=message):
        specs_from_json({"sound": specs_to_json({"sound": SOUND})["sound"] | fields})


def test_a_frame_of_a_clip_is_cut_as_an_image() -> None:
    spec = ClipSpec(colour="grey", source_px=48, mean=(0, 0, 0), std=(1, 1, 1), crop=CropSpec(name="face_v2"))
    expected = ImageSpec(colour="grey", source_px=48, mean=(0, 0, 0), std=(1, 1, 1), crop=CropSpec(name="face_v2"))
    assert spec.image == expected


def test_bundles_written_before_there_were_clips_stay_readable() -> None:
    written = {
        "image": {
            "kind": "image",
            "size_px": 64,
            "crop": {
                "name": "face_v1", "eye_distance_ratio": 0.34, "eye_centre_x_ratio": 0.5, "eye_centre_y_ratio": 0.4,
            },
            "colour": "grey",
            "source_px": 48,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        }
    }  # fmt: skip
    read = specs_from_json(written)
    assert read == {"image": ImageSpec(size_px=64, colour="grey", source_px=48)}
    assert specs_hash(read) == "b12c32e9be41"


def test_a_crop_that_knows_the_mouth_is_read_back_and_has_its_own_hash() -> None:
    by_eyes, by_both = ({"image": ImageSpec(crop=crop)} for crop in CROPS.values())
    assert specs_from_json(specs_to_json(by_both)) == by_both
    assert specs_to_json(by_both)["image"]["crop"]["mouth_reach"] == 1.2
    assert "mouth_reach" not in specs_to_json(by_eyes)["image"]["crop"]
    assert specs_hash(by_eyes) != specs_hash(by_both)
    assert all(name == crop.name for name, crop in CROPS.items())
    with pytest.raises(ConfigError, match="positive, or None for the eyes alone; given: 0"):
        CropSpec(mouth_reach=0)


def test_any_field_changes_the_hash() -> None:
    changed = (
        {"stride": 5},
        {"size_px": 50},
        {"segments": 2, "per_segment": 3},
        {"crop": CropSpec()},
        {"mean": (0.0, 0.0, 0.0)},
    )
    hashes = {specs_hash({"clip": replace(CLIP, **fields)}) for fields in ({}, *changed)}
    assert len(hashes) == 1 + len(changed)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"kind": "hologram"}, "knows: image, clip, landmarks"),
        ({"kind": "clip", "crop": {}, "smell": 1}, "another version"),
        ({"kind": "landmarks"}, "another version"),
        ({"kind": "sound", "echo": 1}, "another version"),
        ({"kind": "flag", "value": 1}, "another version"),
    ],
)
def test_what_is_unknown_is_named(raw: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        specs_from_json({"x": raw})


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"segments \* per_segment"):
        ClipSpec(n_frames=15)
    for fields in ({"stride": 0}, {"size_px": 0}, {"segments": 0, "n_frames": 0}):
        with pytest.raises(ConfigError, match="at least 1"):
            ClipSpec(**fields)
    with pytest.raises(ConfigError, match="at least 1"):
        LandmarkSpec(n_frames=0)
    with pytest.raises(ConfigError, match="68 landmarks"):
        LandmarkSpec(n_points=5)
    with pytest.raises(ConfigError, match="at least 1 pixel"):
        ImageSpec(source_px=0)


def test_clips_around_a_moment_say_how_long_they_are() -> None:
    clip = {"clip": ClipSpec()}
    assert "seconds" not in specs_to_json(clip)["clip"]
    around = {"clip": ClipSpec(seconds=1.28)}
    assert specs_from_json(specs_to_json(around)) == around
    assert specs_hash(around) != specs_hash(clip)
    with pytest.raises(ConfigError, match="cover more than 0 seconds"):
        ClipSpec(seconds=0.0)
