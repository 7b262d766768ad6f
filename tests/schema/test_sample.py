"""Which sound belongs to a sample."""

from pathlib import Path

from mien.schema.sample import Clip, FeatureCsv, File, Recording, RenderedVoice, Sample

HEARD, DRAWN = Recording(Path("a.wav")), RenderedVoice("m:n", 0, 0)


def test_the_voice_is_beside_the_pictures_or_all_that_there_is() -> None:
    assert Sample(key="a", source=File(Path("a.png")), split="train").voice is None
    assert Sample(key="a", source=Clip(Path("a.mp4")), split="train", sound=HEARD).voice == HEARD
    assert Sample(key="a", source=HEARD, split="train").voice == HEARD
    assert Sample(key="a", source=DRAWN, split="train").voice == DRAWN


def test_features_are_no_voice() -> None:
    features = FeatureCsv(Path("a.csv"))
    sample = Sample(key="a", source=features, split="train", features=(("DeepSpectrum", features),))
    assert sample.voice is None
