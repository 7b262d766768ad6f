"""The mean shape of a face, for clips in which landmarks were found in no frame at all.

Means of the 68 points, as read off the 468-point mesh, over the 30,479 faces of FERPlus whose mesh has a presence above
0.9; made symmetric and rounded.
"""

import numpy as np
from numpy.typing import NDArray

from mien.schema.inputs import CropSpec

MEAN_FACE: NDArray[np.float64] = np.array(
    [
        *((-1.061, -0.222), (-1.044, 0.195), (-1.026, 0.407), (-0.920, 0.881), (-0.823, 1.089), (-0.715, 1.246)),
        *((-0.464, 1.479), (-0.193, 1.632), (0.000, 1.656), (0.193, 1.632), (0.464, 1.479), (0.715, 1.246)),
        *((0.823, 1.089), (0.920, 0.881), (1.026, 0.407), (1.044, 0.195), (1.061, -0.222)),
        *((-0.953, -0.316), (-0.795, -0.340), (-0.652, -0.381), (-0.462, -0.369), (-0.237, -0.338)),
        *((0.237, -0.338), (0.462, -0.369), (0.652, -0.381), (0.795, -0.340), (0.953, -0.316)),
        *((0.000, -0.056), (0.000, 0.197), (0.000, 0.413), (0.000, 0.543)),
        *((-0.204, 0.661), (-0.120, 0.720), (0.000, 0.721), (0.120, 0.720), (0.204, 0.661)),
        *((-0.710, -0.009), (-0.605, -0.059), (-0.435, -0.066), (-0.272, 0.024), (-0.407, 0.056), (-0.572, 0.056)),
        *((0.272, 0.024), (0.435, -0.066), (0.605, -0.059), (0.710, -0.009), (0.572, 0.056), (0.407, 0.056)),
        *((-0.398, 1.036), (-0.241, 0.941), (-0.120, 0.915), (0.000, 0.931), (0.120, 0.915), (0.241, 0.941)),
        *((0.398, 1.036), (0.230, 1.209), (0.125, 1.254), (0.000, 1.268), (-0.125, 1.254), (-0.230, 1.209)),
        *((-0.340, 1.031), (-0.089, 1.020), (0.000, 1.025), (0.089, 1.020), (0.340, 1.031)),
        *((0.098, 1.110), (0.000, 1.116), (-0.098, 1.110)),
    ]
)
"""``[68, 2]``: the midpoint between the eyes is (0, 0), the eye centres are 1 apart; y points down."""


def mean_face(crop: CropSpec, size_px: int) -> NDArray[np.float32]:
    """The mean shape in a crop, ``float32 [68, 2]`` in pixels; 0 and ``size_px`` are the edges of the crop."""
    centre = np.array([crop.eye_centre_x_ratio, crop.eye_centre_y_ratio])
    face: NDArray[np.float32] = ((MEAN_FACE * crop.eye_distance_ratio + centre) * size_px).astype(np.float32)
    return face
