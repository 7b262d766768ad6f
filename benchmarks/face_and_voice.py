"""How many seconds of a clip a second, where a model reads faces and voices? And where does the time go?"""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from _films import HEIGHT, RATE, WIDTH, peak_mb, pictures
from _report import Table, arguments, interleaved, keep_to_cores, write_page
from mien.data.synthetic_voices import render_voice, write_wav
from mien.deploy.export import export_bundle
from mien.faces.reader import FaceReader
from mien.faces.track import Tracker
from mien.media.audio import read_sound
from mien.media.frames import VideoInfo
from mien.media.mel import sound_tensor
from mien.media.video import read_video
from mien.media.video_writer import VideoWriter
from mien.models.gcsa_av import Config
from mien.predict.loading import load_moments
from mien.predict.moments import MomentPredictor
from mien.predict.sources import sources
from mien.predict.table import TableWriter
from mien.predict.watch import VideoOptions
from mien.runtime.bundle import find_bundle
from mien.schema.inputs import SoundSpec
from mien.schema.labels import BASIC_7

SHORT_S, LONG_S = 30, 600
BOTH, FACE, VOICE = "face and voice", "face alone", "voice alone"
MODALITIES: dict[str, Literal["va", "v", "a"]] = {BOTH: "va", FACE: "v", VOICE: "a"}
LICENCES = {"code": "Apache-2.0", "weights": "random", "training_data": "none"}


def voice(seconds: int) -> tuple[NDArray[np.float32], str]:
    """Speech at 16 kHz, one utterance after the other, and what it is."""
    folder = Path(os.environ.get("MIEN_DATA", "")) / "speech" / "ravdess"
    files = sorted(folder.glob("*.flac"))[:20]
    parts = [read_sound(path).samples for path in files] or [render_voice(index, 0)[0] for index in range(20)]
    needed, spoken = seconds * 16_000, list[NDArray[np.float32]]()
    for part in cycle(parts):
        spoken.append(part)
        if sum(map(len, spoken)) >= needed:
            break
    return np.concatenate(spoken)[:needed], "utterances of RAVDESS" if files else "drawn voices"


def write_talk(path: Path, seconds: int) -> tuple[Path, str]:
    """A video of one face with speech, H.264 and AAC; what it shows and says."""
    frames, shown = pictures()
    samples, said = voice(seconds)
    info = VideoInfo(
        width=WIDTH, height=HEIGHT, rate=Fraction(RATE), duration_s=float(seconds), frames=seconds * RATE,
        rotation_deg=0, codec="h264", has_sound=True, time_base=Fraction(1, RATE),
    )  # fmt: skip
    with VideoWriter(path, info, sound_from=write_wav(path.with_suffix(".wav"), samples)) as writer:
        for number, image in enumerate(islice(cycle(frames), seconds * RATE)):
            writer.write(image, number / RATE)
    return path, f"{shown}, with {said}"


def write_models(folder: Path) -> dict[str, Path]:
    """The network for both, for the face and for the voice, at full size, with random weights."""
    found = {}
    for name, modality in MODALITIES.items():
        torch.manual_seed(0)
        config = replace(Config(), modality=modality)
        found[name] = folder / modality
        export_bundle(
            config.build(BASIC_7).eval(),
            name=f"gcsa_av_{modality}",
            model="gcsa_av",
            model_config={"modality": modality},
            inputs=config.inputs(),
            labels=BASIC_7,
            task={"name": "classify"},
            out=found[name],
            provenance={"recipe": "none", "seed": 0, "commit": "none", "data_fingerprint": "none"},
            licences=LICENCES,
        )
    return found


def rows_of(predictor: MomentPredictor, film: Path, table: Path) -> int:
    """Read a clip into a table, as ``mien predict`` does; how many rows."""
    rows = 0
    with TableWriter(table, predictor.labels, predictor.model, smoothed=True, shared=True) as writer:
        for answer in predictor.stream(sources(film), video=VideoOptions()):
            writer.write(answer.predictions)
            rows += len(answer.predictions)
    return rows


def stages(
    predictors: Mapping[str, MomentPredictor], models: Mapping[str, Path], film: Path, moments: int
) -> dict[str, Callable[[], object]]:
    """Each stage alone, on as much as the whole clip needs."""
    spec, rng, size = SoundSpec(), np.random.default_rng(0), predictors[BOTH].batch_size
    sound, tracker = read_sound(film), Tracker(reader := FaceReader(), reader.mesh)
    frames = list(read_video(film))

    def track() -> None:
        tracker.reset()
        for frame in frames:
            tracker.update(frame.image, frame.time_s)

    def answer(name: str) -> Callable[[], object]:
        session, specs = predictors[name].session, find_bundle(models[name]).inputs
        batch = {one: rng.random((size, *kind.shape), np.float32) for one, kind in specs.items()}
        return lambda: [session(**batch) for _ in range(0, moments, size)]

    centres = np.linspace(spec.seconds / 2, SHORT_S - spec.seconds / 2, moments)
    return {
        "decode pictures": lambda: sum(1 for _ in read_video(film)),
        "follow the face": track,
        "decode sound": lambda: read_sound(film),
        "log-mel": lambda: [sound_tensor(sound.window(centre, spec.seconds), spec) for centre in centres],
        **{f"network, {name}": answer(name) for name in predictors},
    }


def main() -> None:
    """Measure speed and memory, write the page."""
    options = arguments(__doc__)
    cores = keep_to_cores(options.cores)
    rounds, long_s = (1, 60) if options.quick else (5, LONG_S)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "t.csv"
        film, what = write_talk(folder / "short.mp4", SHORT_S)
        models = write_models(folder)
        predictors = {name: load_moments(find_bundle(path)) for name, path in models.items()}
        rows = {name: rows_of(predictor, film, table) for name, predictor in predictors.items()}
        whole = {name: partial(rows_of, one, film, table) for name, one in predictors.items()}
        parts = stages(predictors, models, film, rows[BOTH])
        seconds = {name: median(spent) for name, spent in interleaved({**whole, **parts}, rounds).items()}
        long, _ = write_talk(folder / "long.mp4", long_s)
        sizes = {path: peak_mb(path, table, "--model", str(models[BOTH])) for path in (film, long)}
    write_page(
        "face_and_voice",
        question="How many seconds of a clip a second, where a model reads faces and voices?",
        targets=[],
        tables=[
            Table(
                title=f"File to row, {cores} cores",
                head=("gcsa_av reads", "seconds of clip a second", "ms a moment", "moments"),
                rows=[
                    (
                        name,
                        f"{SHORT_S / seconds[name]:.1f}",
                        f"{1000 * seconds[name] / rows[name]:.1f}",
                        str(rows[name]),
                    )
                    for name in whole
                ],
            ),
            Table(
                title="Where the time goes",
                head=("stage, alone", "ms a second of clip"),
                rows=[(name, f"{1000 * seconds[name] / SHORT_S:.2f}") for name in parts],
            ),
            Table(
                title="Peak memory of a whole `mien predict`, face and voice",
                head=("clip", "MB"),
                rows=[(f"{length} s", f"{sizes[path]:.0f}") for path, length in ((film, SHORT_S), (long, long_s))],
            ),
        ],
        packages=("mien", "av", "numpy", "openvino"),
        notes=(
            f"{SHORT_S} s of {WIDTH} x {HEIGHT} at {RATE} frames a second, H.264 and AAC: {what}.",
            "A moment every 0.2 s: 1.28 s of sound, one frame from each quarter of them.",
            f"Medians of {rounds} interleaved rounds. Networks of full size with random weights, fp32, OpenVINO.",
            "The stages run alone, one after the other; the whole pipeline overlaps them in threads.",
        ),
        options=options,
    )


if __name__ == "__main__":
    main()
