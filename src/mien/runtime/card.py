"""The card of a bundle: what it is for, what it is not for, where it came from, how good it is."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mien.schema.inputs import (
    ClipSpec,
    FeatureSpec,
    FlagSpec,
    InputSpec,
    LandmarkSpec,
    PictureSpec,
    SoundSpec,
    counted_as,
)

if TYPE_CHECKING:
    from mien.runtime.bundle import Bundle

_HEARS = {
    True: (
        "Names the expression in a voice, moment by moment, whatever is said. Research on expression in speech, and as "
        "a listener of models that read face and voice."
    ),
    False: (
        "Names the expression at a moment from face and voice, and from either alone where the other is missing. "
        "Annotating clips with sound, research on expression."
    ),
}
"""Of a classifier that listens, by whether it does nothing else."""

_PURPOSE = {
    "classify": (
        "Names the expression that a face shows in a picture. Reading photos in bulk, annotating video, research on "
        "expression, and as a starting point for models of one's own."
    ),
    "classify_frames": (
        "Names the expression in each frame of a video, window by window. Annotating video, research on expression."
    ),
    "detect": (
        "Finds the faces of a whole picture and names the expression of each in one pass. Reading photos and video in "
        "bulk, research on expression, and as a starting point for detectors of one's own."
    ),
    "landmarks": (
        "Places 68 points on a face crop; its inner maps are the geometric prior of expression models. The points "
        "follow the reading of a 468-point mesh, not hand-made annotation."
    ),
    "regress": (
        "Tells how strong each of several reactions is that somebody shows in a clip of some seconds, by face, voice "
        "or both, from features of an encoder. Research on expression, and ordering clips by what they show."
    ),
}
_OUT_OF_SCOPE = (
    "An expression is what a {shown} shows, not what a person feels. Do not use it to decide about people: hiring, "
    "proctoring, policing, lie detection, or watching workers and pupils (prohibited in the European Union, "
    "Regulation 2024/1689, article 5(1)(f))."
)
_LIMITS = (
    "Trained and measured on the data named below only; on other cameras, ages, skin tones, poses and cultures it "
    "has not been measured."
)
_LIMITS_OF = {
    "classify": (
        " Rare classes are recognised far less often than common ones: see the recall of each. A probability is "
        "calibrated for {shown}s like those of the training data."
    ),
    "detect": (
        " Faces that are small in the picture are missed; tiles help. Rare classes are recognised far less often than "
        "common ones. The probabilities are shares of the class scores and are not calibrated."
    ),
    "classify_frames": (
        " Rare classes are recognised far less often than common ones: see the recall of each. How well it does "
        "differs much from video to video."
    ),
    "regress": (
        " A strength is relative: in training the strongest reaction of each clip was 1, as people judged themselves, "
        "so that it tells neither how strong a reaction is beside that of somebody else nor whether there was any. It "
        "holds for features of the encoders named below alone."
    ),
    "landmarks": " The brows lie on the upper edge and the points of the jaw are unevenly spaced, as in the mesh.",
}


def render_card(bundle: "Bundle") -> str:
    """The text of ``README.md``, from nothing but the bundle's description."""
    task, hears = str(bundle.task.get("name")), "sound" in bundle.inputs
    shown = "face" if not hears else "voice" if len(bundle.inputs) == 1 else "face or voice"
    parts = [
        f"# {bundle.name}",
        _facts(bundle),
        "## Use",
        _HEARS[len(bundle.inputs) == 1] if hears else _PURPOSE.get(task, ""),
        f"**Not for:** {_OUT_OF_SCOPE.format(shown=shown)}",
        f"**Limits:** {_LIMITS}{_LIMITS_OF.get(task, '').format(shown=shown)}",
        "## Licences",
        _table(("of the", "licence"), ((k.replace("_", " "), v) for k, v in bundle.licences.items())),
        "## Where it came from",
        _table(("", ""), ((k.replace("_", " "), _plain(v)) for k, v in bundle.provenance.items())),
        "## How good it is",
        *(_figures(bundle.figures, counted_as(bundle.inputs, task)) or ["Nothing has been measured yet."]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(bundle: "Bundle") -> str:
    rows: list[tuple[str, object]] = [("model", bundle.model), ("weights", f"`{bundle.hash12}`")]
    rows += [(f"file {name}", f"{described['bytes'] / 1e6:.2f} MB") for name, described in bundle.files.items()]
    rows += [(f"input {name}", _input(spec)) for name, spec in bundle.inputs.items()]
    rows += [(f"encoder of {name}", f"{one['name']} `{one['weights'][:12]}`") for name, one in bundle.encoders.items()]
    if bundle.labels:
        rows.append(("labels", ", ".join(bundle.labels.names)))
    rows += [(key.replace("_", " "), _short(value)) for key, value in bundle.task.items() if key != "name"]
    return _table(("", ""), rows)


def _input(spec: InputSpec) -> str:
    if isinstance(spec, FlagSpec):
        return "1 or 0, whether that which it is named for is there"
    if isinstance(spec, FeatureSpec):
        if spec.around_moment:
            parts = f"each of {spec.n_steps} equal parts of {spec.seconds:g} s"
            return f"{spec.width} features of a frame of the face from {parts} around a moment"
        return f"{spec.width} features of an encoder every {spec.step_s:g} s, {spec.n_steps} steps, {spec.seconds:g} s"
    if isinstance(spec, SoundSpec):
        bands = f"{spec.n_mels} mel bands ({spec.mel_scale}) from {spec.f_min:g} to {spec.f_max:g} Hz"
        return (
            f"{spec.seconds:g} s of sound at {spec.sample_rate} Hz as {spec.n_frames} columns of {bands}, logarithmic"
        )
    crop = f"{spec.size_px} x {spec.size_px} pixels"
    if isinstance(spec, LandmarkSpec):
        return f"{spec.n_points} landmarks in {spec.n_frames} frames, in pixels of a crop of {crop}"
    if isinstance(spec, PictureSpec):
        return f"RGB, whole pictures, {spec.resize} to {crop}"
    frames = f"{spec.n_frames} frames of " if isinstance(spec, ClipSpec) else ""
    source = f", brought to {spec.source_px} pixels first" if spec.source_px else ""
    return f"{frames}{crop}, {spec.colour}{source}, crop {spec.crop.name}"


def _figures(figures: Mapping[str, Any], counted: str) -> list[str]:
    parts: list[str] = []
    if figures.get("data"):
        parts.append(f"Measured on {figures['data']}.")
    metrics = figures.get("metrics", {})
    if metrics:
        parts.append(_table(("", "value", "95 % interval"), (_interval_row(k, v) for k, v in metrics.items())))
    classes = figures.get("per_class", {})
    if classes:
        rows = ((name, c.get("count", ""), *_interval_row("", c.get("recall"))[1:]) for name, c in classes.items())
        parts.append(_table(("class", counted, "recall", "95 % interval"), rows))
    for part in figures.get("tables", ()):
        parts += [f"{part['title']}:", _table(part["head"], part["rows"])]
    parts += [str(note) for note in figures.get("notes", ())]
    parts += [f"![{caption}]({name})\n\n{caption}" for name, caption in figures.get("pictures", {}).items()]
    known = {"data", "metrics", "per_class", "tables", "notes", "pictures"}
    others = [(key.replace("_", " "), _short(value)) for key, value in figures.items() if key not in known]
    return [*parts, _table(("", ""), others)] if others else parts


def _interval_row(name: str, figure: Any) -> tuple[str, str, str]:
    words = name.replace("_", " ")
    if not isinstance(figure, Mapping):
        return words, _short(figure), ""
    low, high = figure.get("low"), figure.get("high")
    span = "" if low is None or high is None else f"{low:.4f} to {high:.4f}"
    return str(figure.get("title", words)), _short(figure.get("value")), span


def _plain(value: Any) -> str:
    """A recorded value as it is, not rounded to the digits of a figure."""
    return f"{value:g}" if isinstance(value, float) else _short(value)


def _short(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_short(item) for item in value)
    return str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
