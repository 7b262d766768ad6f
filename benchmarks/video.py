"""How many frames of a video a second, and does memory stay flat? And where does the time go?"""

import tempfile
from collections.abc import Callable
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from _films import HEIGHT, RATE, WIDTH, Rgb, peak_mb, pictures
from _report import Table, Target, arguments, interleaved, keep_to_cores, write_page
from mien.faces.quality import judge
from mien.faces.reader import FaceReader
from mien.faces.track import TrackedFace, Tracker
from mien.media.crop import cut, face_matrix
from mien.media.tensors import image_tensor
from mien.media.video import Frame, read_video
from mien.predict.pipeline import Predictor, load
from mien.predict.sources import sources
from mien.predict.table import TableWriter
from mien.predict.watch import VideoOptions

SHORT_S, LONG_S = 10, 600
TRACKING, EVERY_FRAME = "detection by tracking", "detection in every frame"
EMPTY = "1920 x 1080 without a face, detection by tracking"
GOALS = {TRACKING: 200.0, EVERY_FRAME: 100.0}
MOST_GROWTH_MB = 30.0


def write_film(path: Path, frames: list[Rgb], seconds: int) -> Path:
    """H.264 of ``seconds``: the frames over and over, encoded once."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        encoded = []
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            encoded += stream.encode(frame)
        encoded += stream.encode(None)
        bodies = [(bytes(packet), packet.is_keyframe) for packet in encoded]
        for number, (body, is_key) in enumerate(islice(cycle(bodies), seconds * RATE)):
            packet = av.Packet(body)
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, RATE), number, number
            packet.is_keyframe = is_key
            output.mux(packet)
    return path


def nobody() -> list[Rgb]:
    """Frames of a lively surface without a face, 1920 x 1080, no two alike."""
    coarse = np.random.default_rng(0).integers(40, 200, (27, 96, 3), np.uint8)
    wide = cv2.resize(coarse, (3840, 1080), interpolation=cv2.INTER_CUBIC)
    return [np.ascontiguousarray(wide[:, 4 * number : 4 * number + 1920], np.uint8) for number in range(100)]


def rows_of(predictor: Predictor, film: Path, table: Path, detect_every_s: float) -> int:
    """Read a film into a table, as ``mien predict`` does; how many frames."""
    options = VideoOptions(detect_every_s=detect_every_s)
    frames = 0
    with TableWriter(table, predictor.labels, predictor.model, smoothed=True) as writer:
        for answer in predictor.stream(sources(film), video=options):
            writer.write(answer.predictions)
            frames += 1
    return frames


def stages(predictor: Predictor, film: Path, table: Path) -> dict[str, Callable[[], object]]:
    """Each stage alone over the whole film, one frame after the other, fed with what the stage before it gives."""
    spec, finder, limits = predictor.spec, predictor.finder, predictor.quality
    assert isinstance(finder, FaceReader)
    assert limits is not None
    tracker = Tracker(finder, finder.mesh)
    frames = list(read_video(film))
    seen = [(frame, face) for frame in frames for face in tracker.update(frame.image, frame.time_s)]
    answers = list(predictor.stream(sources(film)))

    def track() -> None:
        tracker.reset()
        for frame in frames:
            tracker.update(frame.image, frame.time_s)

    def tensor(frame: Frame, face: TrackedFace) -> NDArray[np.float32]:
        matrix = face_matrix(face, frame.image.shape[:2], spec)
        return image_tensor(cut(frame.image, matrix, spec.crop_px), spec)

    batch = np.stack([tensor(*one) for one in seen])
    size = predictor.batch_size

    def answer() -> None:
        for start in range(0, len(batch), size):
            predictor.task.decode(predictor.session(image=batch[start : start + size]))

    def write() -> None:
        with TableWriter(table, predictor.labels, predictor.model, smoothed=True) as writer:
            for one in answers:
                writer.write(one.predictions)

    return {
        "decode": lambda: sum(1 for _ in read_video(film)),
        "follow faces (every fourth look is a search)": track,
        "search in every frame instead": lambda: [finder.find_meshes(frame.image) for frame in frames],
        "judge quality": lambda: [judge(frame.image, face, limits) for frame, face in seen],
        "cut and scale": lambda: [tensor(*one) for one in seen],
        f"answer, batches of {size}": answer,
        "write rows": write,
    }


def main() -> None:
    """Measure speed and memory, compare with the targets, write the page."""
    options = arguments(__doc__)
    cores = keep_to_cores(options.cores)
    rounds, long_s = (1, 60) if options.quick else (5, LONG_S)
    predictor = load()
    shown, what = pictures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "t.csv"
        short = write_film(folder / "short.mp4", shown, SHORT_S)
        empty = write_film(folder / "empty.mp4", nobody(), SHORT_S)
        faces = len(predictor(short))
        whole = {
            TRACKING: lambda: rows_of(predictor, short, table, 0.4),
            EVERY_FRAME: lambda: rows_of(predictor, short, table, 0.0),
            EMPTY: lambda: rows_of(predictor, empty, table, 0.4),
        }
        seconds = interleaved({**whole, **stages(predictor, short, table)}, rounds)
        long = write_film(folder / "long.mp4", shown, long_s)
        sizes = {film: peak_mb(film, table) for film in (short, long)}
    count = SHORT_S * RATE
    rates = {name: count / median(spent) for name, spent in seconds.items()}
    growth = sizes[long] - sizes[short]
    write_page(
        "video",
        question="How many frames of a video a second, and does memory stay flat?",
        targets=[
            *(
                Target(
                    what=f"{WIDTH} x {HEIGHT}, one face, {name}, file to row, {cores} cores",
                    promised=f">= {goal:.0f} frames/s",
                    measured=f"{rates[name]:.0f} frames/s",
                    met=rates[name] >= goal,
                )
                for name, goal in GOALS.items()
            ),
            Target(
                what=f"peak memory of {long_s} s beyond that of {SHORT_S} s",
                promised=f"<= {MOST_GROWTH_MB:.0f} MB",
                measured=f"{growth:+.1f} MB",
                met=growth <= MOST_GROWTH_MB,
            ),
        ],
        tables=[
            Table(
                title="File to row",
                head=("what", "frames/s", "ms a frame"),
                rows=[(name, f"{rates[name]:.0f}", f"{1000 / rates[name]:.2f}") for name in whole],
            ),
            Table(title="Where the time goes", head=("stage", "ms a frame", "share"), rows=_shares(rates)),
            Table(
                title="Peak memory of a whole `mien predict`",
                head=("video", "MB"),
                rows=[(f"{second} s", f"{sizes[film]:.0f}") for film, second in ((short, SHORT_S), (long, long_s))],
            ),
        ],
        packages=("mien", "av", "numpy", "opencv-python-headless", "openvino"),
        notes=(
            f"{count} frames of {WIDTH} x {HEIGHT} at {RATE} a second, H.264, {faces} rows: {what}.",
            f"Medians of {rounds} interleaved rounds.",
            "The stages run alone, one frame after the other, and the shares are of their sum with detection by "
            "tracking; the whole pipeline overlaps them in threads.",
            "Memory: largest resident size, each in a process of its own.",
            f"Model {predictor.model}, smallest face {predictor.min_face_px} pixels.",
        ),
        options=options,
    )


def _shares(rates: dict[str, float]) -> list[tuple[str, str, str]]:
    """Milliseconds of each stage, and its share of those that detection by tracking takes."""
    spent = {name: 1000 / rate for name, rate in rates.items() if name not in (TRACKING, EVERY_FRAME, EMPTY)}
    total = sum(ms for name, ms in spent.items() if not name.endswith("instead"))
    return [(name, f"{ms:.2f}", "" if name.endswith("instead") else f"{ms / total:.0%}") for name, ms in spent.items()]


if __name__ == "__main__":
    main()
