import numpy as np
import pytest

from mien.media.clip import clip_indices, nearest_present

LENGTHS = (1, 2, 8, 9, 10, 15, 16, 17, 100, 1000)


def written_indices(n: int, offsets: list[int], per_segment: int) -> list[int]:
    """Each offset and the frames after it, clamped at the last."""
    taken = []
    for offset in offsets:
        at = offset
        for _ in range(per_segment):
            taken.append(at)
            at = at + 1 if at < n - 1 else at
    return taken


@pytest.mark.parametrize("n", LENGTHS)
def test_frames_for_evaluation_lie_in_the_middle_of_their_parts(n: int) -> None:
    tick = (n - 2 + 1) / 8
    offsets = [int(tick / 2 + tick * i) for i in range(8)] if n > 8 + 2 - 1 else [0] * 8
    assert clip_indices(n).tolist() == written_indices(n, offsets, 2)
    assert clip_indices(n).tolist() == clip_indices(n).tolist()


def test_sixteen_frames_of_a_known_clip() -> None:
    assert clip_indices(17).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    assert clip_indices(1).tolist() == [0] * 16
    assert clip_indices(4, segments=2, per_segment=2).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize(("segments", "per_segment"), [(8, 2), (8, 1), (4, 3), (1, 4)])
def test_drawn_frames_stay_in_their_parts(n: int, segments: int, per_segment: int) -> None:
    length = (n - per_segment + 1) // segments
    for seed in range(30):
        indices = clip_indices(n, segments, per_segment, np.random.default_rng(seed)).reshape(segments, per_segment)
        starts = indices[:, 0]
        assert indices.min() >= 0
        assert indices.max() < n
        assert (np.diff(indices, axis=1) >= 0).all()
        if length > 0:
            assert (starts // length == np.arange(segments)).all()
            assert (np.diff(indices, axis=1) == 1).all()
        elif n > segments:
            assert (np.diff(starts) >= 0).all()
        else:
            assert (starts == 0).all()


def test_every_frame_of_a_part_can_be_drawn() -> None:
    starts = {int(clip_indices(33, rng=np.random.default_rng(seed))[2]) for seed in range(200)}
    assert starts == {4, 5, 6, 7}


def test_few_frames_for_long_runs_are_drawn_in_order() -> None:
    drawn = {tuple(clip_indices(9, 8, 3, np.random.default_rng(seed))[::3]) for seed in range(50)}
    assert len(drawn) > 20
    assert {start for starts in drawn for start in starts} == set(range(7))


@pytest.mark.parametrize("n", LENGTHS)
def test_the_same_seed_draws_the_same_frames(n: int) -> None:
    first, second = (clip_indices(n, rng=np.random.default_rng(3)) for _ in range(2))
    assert (first == second).all()


def test_the_nearest_frame_that_is_present() -> None:
    present = [False, True, False, False, False, True, False]
    assert nearest_present(present).tolist() == [1, 1, 1, 1, 5, 5, 5]
    assert nearest_present([True] * 3).tolist() == [0, 1, 2]
    with pytest.raises(AssertionError):
        nearest_present([False, False])
