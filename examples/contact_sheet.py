"""The faces of a folder on one sheet with their probabilities: ``python examples/contact_sheet.py FOLDER [MODEL]``."""

import sys
from pathlib import Path

import mien
from mien.media.image import write_image
from mien.predict.draw import contact_sheet


def main(folder: str, model: str = "product_cross_small") -> Path:
    """Write ``contact_sheet.png`` and say where it is."""
    result = mien.load(model)(folder)
    path = Path("contact_sheet.png").absolute()
    write_image(path, contact_sheet(result))
    print(f"{sum(row.face is not None for row in result)} faces: {path}")
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
