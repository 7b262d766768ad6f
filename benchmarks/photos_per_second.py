"""How many photos a second, from the file to the row? And where does the time go?"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from _report import Table, Target, arguments, interleaved, keep_to_cores, portrait, write_page
from mien.media.crop import cut, face_matrix
from mien.media.image import read_image
from mien.media.tensors import image_tensor
from mien.predict.pipeline import Predictor, load

SIDE = 512
GOAL = 100.0


def photos(folder: Path, count: int) -> list[Path]:
    """JPEG files of one face each, no two alike: the portrait, shifted, mirrored and relit."""
    source = np.asarray(Image.open(portrait()).convert("RGB"))[:SIDE, :SIDE]
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        down, right = rng.integers(0, 48, 2)
        shifted = np.pad(source, ((down, 0), (right, 0), (0, 0)), mode="edge")[:SIDE, :SIDE]
        lit = np.clip(shifted[:, :: rng.choice((-1, 1))] * rng.uniform(0.8, 1.1), 0, 255).astype(np.uint8)
        paths.append(folder / f"{number:04d}.jpg")
        Image.fromarray(lit).save(paths[-1], quality=90)
    return paths


def stages(predictor: Predictor, paths: list[Path]) -> dict[str, Callable[[], object]]:
    """Each stage alone over all photos, one after the other, fed with what the stage before it gives."""
    spec, finder, size = predictor.spec, predictor.finder, predictor.batch_size
    assert finder is not None
    images = [read_image(path) for path in paths]
    faces = [finder.find_faces(image)[0] for image in images]

    def tensor(number: int) -> np.ndarray:
        matrix = face_matrix(faces[number], images[number].shape[:2], spec)
        return image_tensor(cut(images[number], matrix, spec.crop_px), spec)

    batch = np.stack([tensor(number) for number in range(len(images))])

    def answer() -> None:
        for start in range(0, len(batch), size):
            predictor.task.decode(predictor.session(image=batch[start : start + size]))

    return {
        "read": lambda: [read_image(path) for path in paths],
        "find": lambda: [finder.find_faces(image) for image in images],
        "cut and scale": lambda: [tensor(number) for number in range(len(images))],
        f"answer, batches of {size}": answer,
    }


def main() -> None:
    """Measure, compare with the target, write the page."""
    options = arguments(__doc__)
    cores = keep_to_cores(options.cores)
    count, rounds = (64, 2) if options.quick else (512, 7)
    predictor = load()
    with tempfile.TemporaryDirectory() as folder:
        paths = photos(Path(folder), count)
        found = len(predictor(paths))
        whole = "file to row, everything"
        seconds = interleaved({whole: lambda: predictor(paths), **stages(predictor, paths)}, rounds)
    rates = {name: count / median(spent) for name, spent in seconds.items()}
    rows = [(name, f"{rate:.0f}", f"{1000 / rate:.2f}") for name, rate in rates.items()]
    write_page(
        "photos_per_second",
        question="How many photos a second?",
        targets=[
            Target(
                what=f"{SIDE}-pixel photos of one face on {cores} cores, file to row",
                promised=f">= {GOAL:.0f}/s",
                measured=f"{rates[whole]:.0f}/s",
                met=rates[whole] >= GOAL,
            )
        ],
        tables=[Table(title="Rates", head=("stage", "photos/s", "ms a photo"), rows=rows)],
        packages=("mien", "numpy", "opencv-python-headless", "openvino"),
        notes=(
            f"{count} JPEG files of {SIDE} x {SIDE} pixels, {found} rows; medians of {rounds} interleaved rounds.",
            "The stages run alone and one photo after the other; the whole pipeline overlaps them in threads.",
            f"Model {predictor.model}, smallest face {predictor.min_face_px} pixels.",
        ),
        options=options,
    )


if __name__ == "__main__":
    main()
