"""Photos in, expressions out.

``mien.predict`` is both this room and the function that it is named after: importing any file of the room
binds the name ``mien.predict`` to the module, whatever stood there before. So the module itself is callable,
and ``mien.predict("photo.jpg")`` works before and after such an import.
"""

import sys
from types import ModuleType
from typing import Any


class _CallableRoom(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Same as :func:`mien.predict.loading.predict`."""
        from mien.predict.loading import predict

        return predict(*arguments, **options)


sys.modules[__name__].__class__ = _CallableRoom
