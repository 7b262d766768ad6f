"""Where the faces of a picture are: boxes, then 68 landmarks each."""

from mien.faces.reader import FaceReader

__all__ = ["FaceReader"]
