import numpy as np

from mien.data.synthetic import render
from mien.predict.draw import draw_result
from mien.predict.outline import LINES, PAGE, paint_outline
from mien.predict.sheet import contact_sheet
from mien.schema.labels import FERPLUS
from mien.schema.prediction import Face, Prediction, Result


def drawn_face() -> Result:
    image, targets = render(4, seed=1)
    face = Face(box=(20.0, 20.0, 108.0, 118.0), score=1.0, landmarks=np.array(targets.landmarks, np.float32))
    row = Prediction(
        source="a", face_id=0, face=face, label="fear", score=0.125, probabilities=np.full(8, 0.125, np.float32)
    )
    return Result(labels=FERPLUS, model="m", predictions=(row,), images={"a": image})


def test_the_lines_use_every_point_once() -> None:
    used = [point for start, stop, _ in LINES for point in range(start, stop)]
    assert sorted(used) == list(range(68))


def test_lines_run_through_the_points() -> None:
    pixels = np.zeros((200, 200, 3), np.uint8)
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 190, (68, 2))
    paint_outline(pixels, points, line_px=3)
    columns, rows = np.rint(points).astype(int).T
    assert (pixels[rows, columns].min(axis=1) > 100).all()


def test_no_pixel_of_the_picture_is_shown() -> None:
    result = drawn_face()
    darker = Result(
        labels=FERPLUS, model="m", predictions=result.predictions, images={"a": np.zeros((128, 128, 3), np.uint8)}
    )
    for paint in (draw_result, contact_sheet):
        outlined = paint(result, outline=True)
        np.testing.assert_array_equal(outlined, paint(darker, outline=True))
        assert (outlined == PAGE).all(axis=2).mean() > 0.2
        assert not np.array_equal(outlined, paint(result))
