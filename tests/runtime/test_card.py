from collections.abc import Callable
from dataclasses import replace

from mien.runtime.bundle import Bundle
from mien.runtime.card import render_card
from mien.schema.inputs import FlagSpec, SoundSpec

FIGURES = {
    "data": "FERPlus, validation, half B: 1,600 faces",
    "metrics": {"accuracy": {"title": "accuracy (WAR)", "value": 0.87654, "low": 0.86, "high": 0.89}, "ece": 0.021},
    "per_class": {
        "neutral": {"count": 500, "recall": {"value": 0.9, "low": 0.85, "high": 0.95}},
        "anger": {"count": 0, "recall": {"value": None, "low": None, "high": None}},
    },
    "notes": ["Votes of one answer are ignored."],
    "tables": [{"title": "End to end", "head": ["size", "accuracy"], "rows": [["112 px", "0.86"]]}],
    "pictures": {"faces.png": "Faces and what was read"},
    "milliseconds_per_face": 3.25,
    "parity": {"max_abs": 1.2e-6},
}


def test_the_card_states_licences_provenance_and_limits(make_bundle: Callable[..., Bundle]) -> None:
    provenance = {
        "recipe": "mean_test",
        "seed": 0,
        "commit": "abc",
        "data_fingerprint": "0123456789ab",
        "minutes": 26.0,
    }
    bundle = make_bundle(provenance=provenance)
    card = render_card(bundle)
    assert (bundle.path / "README.md").read_text() == card
    for text in (
        "# small",
        f"`{bundle.hash12}`",
        "| training data | drawn \\| synthetic |",
        "| recipe | mean_test |",
        "| data fingerprint | 0123456789ab |",
        "| minutes | 26 |",
        "neutral, happiness, anger",
        "8 x 8 pixels, grey, brought to 4 pixels first, crop face_v1",
        "**Not for:**",
        "Nothing has been measured yet.",
    ):
        assert text in card


def test_limits_and_use_are_those_of_the_task(make_bundle: Callable[..., Bundle]) -> None:
    classifier, pointer = (
        render_card(make_bundle(task=task)) for task in ({"name": "classify"}, {"name": "landmarks"})
    )
    assert "recall of each" in classifier
    assert "68 points" in pointer
    assert "recall of each" not in pointer


def test_a_card_speaks_of_voices_where_the_model_listens(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    assert "shows in a picture" in render_card(bundle)
    assert "what a face shows" in render_card(bundle)
    voice = render_card(replace(bundle, inputs={"sound": SoundSpec()}))
    assert "Names the expression in a voice" in voice
    assert "what a voice shows" in voice
    both = render_card(replace(bundle, inputs={**bundle.inputs, "sound": SoundSpec(), "has_sound": FlagSpec()}))
    assert "at a moment from face and voice" in both
    assert "what a face or voice shows" in both


def test_the_card_prints_figures_with_intervals_and_counts(make_bundle: Callable[..., Bundle]) -> None:
    card = render_card(make_bundle(figures=FIGURES))
    for text in (
        "Measured on FERPlus, validation, half B: 1,600 faces.",
        "| accuracy (WAR) | 0.8765 | 0.8600 to 0.8900 |",
        "| ece | 0.0210 |  |",
        "| neutral | 500 | 0.9000 | 0.8500 to 0.9500 |",
        "| anger | 0 | – |  |",
        "End to end:\n\n| size | accuracy |\n| --- | --- |\n| 112 px | 0.86 |",
        "Votes of one answer are ignored.",
        "![Faces and what was read](faces.png)",
        "| milliseconds per face | 3.2500 |",
        "| parity | max_abs 1.2e-06 |",
    ):
        assert text in card
