"""What do the faces of an album show? ``python examples/album.py FOLDER``: a line for each answer, with its share."""

import sys
from collections import Counter

import mien


def main(folder: str) -> None:
    """Print how many faces show what, and what could not be said."""
    result = mien.load()(folder)
    shown = Counter(face.label or face.status for face in result)
    for answer, count in shown.most_common():
        print(f"{answer:<12} {count:5}  {count / len(result):.0%}")
    result.save("album.csv")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
