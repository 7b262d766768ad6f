"""mien: facial expressions from photos, videos and clips.

    import mien

    result = mien.predict("photo.jpg")              # once
    reader = mien.load("product_cross_small")       # often
    for face in reader(["photo.jpg", "folder/"]):
        print(face.source, face.label, face.score)

Nothing is loaded until one of the two is used.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load", "predict"]

if TYPE_CHECKING:
    from mien.predict.loading import load, predict


def __getattr__(name: str) -> Any:
    if name == "load":
        from mien.predict.loading import load

        return load
    if name == "predict":
        import mien.predict as room

        return room
    raise AttributeError(f"module 'mien' has no attribute {name!r}; it offers: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
