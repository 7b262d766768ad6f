"""Two bundles looked at side by side: every face that is found in a folder of photos, with the answers of both.

    python -m mien.deploy.compare_photos product_cross_small runs/my_faces/RUN photos/ --out sheet.png

Faces are drawn by their landmarks, without a pixel of the photos, unless ``--pixels`` asks for them; such a sheet is
for the own eye and not for passing on. Both models read the same found faces, so they differ in nothing else.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mien.media.image import write_image
from mien.predict.paired_sheet import paired_sheet, pairs_of
from mien.predict.pipeline import load
from mien.schema.errors import MienError
from mien.schema.prediction import Result


def compare_photos(
    first: str | Path,
    second: str | Path,
    photos: Path | str,
    out: Path,
    *,
    columns: int = 3,
    pixels: bool = False,
    runtime: str = "openvino",
) -> tuple[Result, Result]:
    """Read photos with two models and write both answers for every face onto one sheet.

    Args:
        first: name or folder of a bundle of single faces; it stands at the left.
        second: of another one with the same labels.
        photos: a photo, a folder or a pattern.
        out: the sheet, whose suffix names the format.
        columns: faces in a row.
        pixels: show the faces themselves instead of the lines of their landmarks.
        runtime: ``openvino``, ``onnx`` or ``torch``.

    Returns:
        What each of them answered.

    Raises:
        BundleError: if there is no such model, or it does not name the expression of single faces.
        ConfigError: if both have other labels.
        MediaError: if the sheet cannot be written.
    """
    ours, theirs = (load(name, runtime=runtime)(photos) for name in (first, second))
    write_image(out, paired_sheet(ours, theirs, columns=columns, outline=not pixels))
    return ours, theirs


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two bundles from the shell."""
    parser = argparse.ArgumentParser(prog="python -m mien.deploy.compare_photos", description=__doc__.split("\n")[0])
    parser.add_argument("first", help="name or folder of a bundle, shown at the left")
    parser.add_argument("second", help="name or folder of another one")
    parser.add_argument("photos", help="a photo, a folder or a pattern")
    parser.add_argument("--out", type=Path, default=Path("compared.png"), help="the sheet")
    parser.add_argument("--columns", type=int, default=3, help="faces in a row")
    parser.add_argument("--pixels", action="store_true", help="show the faces themselves, for the own eye")
    parser.add_argument("--runtime", default="openvino", choices=("openvino", "onnx", "torch"))
    given = parser.parse_args(arguments)
    how = {"columns": given.columns, "pixels": given.pixels, "runtime": given.runtime}
    try:
        ours, theirs = compare_photos(given.first, given.second, given.photos, given.out, **how)
    except MienError as error:
        parser.exit(2, f"{type(error).__name__}: {error}\n")
    pairs = pairs_of(ours, theirs)
    differ = [one for one in pairs if one[0].label != one[1].label]
    told = [f"{one.source} {one.face_id}: {one.label or one.status}, {two.label or two.status}" for one, two in differ]
    parser.exit(0, "\n".join([f"{len(pairs)} faces, {len(differ)} answered otherwise: {given.out}", *told]) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
