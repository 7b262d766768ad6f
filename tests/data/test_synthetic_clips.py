import hashlib
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.data.drawing.motion import FRAMES, HOLD, OVERLAP, PEAK, RATE, RISE, SWAY, Bump, expressive_share, random_sway
from mien.data.readers import read_dataset
from mien.data.splits import DataConfig, make_splits
from mien.data.synthetic_clips import (
    BEFORE,
    RENDERER,
    course,
    read,
    render_clip,
    render_clip_landmarks,
    samples,
    single_frame_cap,
    unordered_cap,
)
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7
from mien.schema.sample import RenderedClip
from mien.schema.tables import resolve

ALL = np.arange(FRAMES)
EVALUATED = np.concatenate([[t, t + 1] for t in (int((47 / 8) / 2 + (47 / 8) * i) for i in range(8))])
"""The frames of eight segments of two, as evaluation takes them."""


@pytest.fixture(scope="module")
def clips():
    return [render_clip(index, 3, range(0, FRAMES, 4)) for index in range(14)]


def intensities(index, seed, frames=ALL):
    """``[7, N]``"""
    found = np.zeros((7, len(frames)))
    for bump in course(index, seed):
        found[BASIC_7.index(bump.label)] = bump.intensity(frames)
    return found


def test_same_seed_same_pixels_in_another_process():
    digest = hashlib.sha256(b"".join(render_clip(i, 3, [0, 31])[0].tobytes() for i in range(7))).hexdigest()
    code = (
        "import hashlib; from mien.data.synthetic_clips import render_clip;"
        "print(hashlib.sha256(b''.join(render_clip(i, 3, [0, 31])[0].tobytes() for i in range(7))).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest
    assert not np.array_equal(render_clip(0, 4, [0])[0], render_clip(0, 3, [0])[0])
    assert not np.array_equal(render_clip(7, 3, [0])[0], render_clip(0, 3, [0])[0])


def test_any_frames_are_those_of_the_whole_clip():
    whole, truth = render_clip(8, 1)
    assert whole.shape == (48, 128, 128, 3)
    assert whole.dtype == np.uint8
    asked = [40, 3, 3, 17]
    some, known = render_clip(8, 1, asked)
    np.testing.assert_array_equal(some, whole[asked])
    for name in ("frames", "landmarks", "intensity", "eyes_closed"):
        np.testing.assert_array_equal(getattr(known, name), getattr(truth, name)[asked])
    assert known.episodes == truth.episodes
    assert render_clip(8, 1, [])[0].shape == (0, 128, 128, 3)
    np.testing.assert_array_equal(truth.landmarks, render_clip_landmarks(8, 1))
    with pytest.raises(AssertionError, match="frames 0 to 47"):
        render_clip(8, 1, [48])


def test_truth(clips):
    for index, (images, truth) in enumerate(clips):
        assert truth.label == BASIC_7.names[index % 7]
        assert truth.landmarks.shape == (12, 68, 2)
        assert truth.landmarks.dtype == truth.intensity.dtype == truth.eyes_closed.dtype == np.float32
        assert ((truth.landmarks > -0.5) & (truth.landmarks < 127.5)).mean() > 0.95
        assert images.std(axis=(1, 2, 3)).min() > 8
        np.testing.assert_allclose(truth.intensity, intensities(index, 3, truth.frames).T, atol=1e-6)
        shown = {BASIC_7.names[i] for i in np.flatnonzero(truth.intensity.max(axis=0))}
        assert shown == (set() if truth.label == "neutral" else {truth.label, BEFORE[truth.label]})
        assert {episode.label for episode in truth.episodes} == shown


def test_landmarks_lie_on_what_is_drawn():
    """The upper lid is darker than the temple, the upper lip redder than the cheek, in every phase of a clip."""
    dark, red = [], []

    def at(values, points):
        return np.mean([values[round(y), round(x)] for x, y in np.clip(points, 0, 127)])

    for index in range(40):
        images, truth = render_clip(index, 11, [index, 47 - index])
        for image, p in zip(images, truth.landmarks.astype(float), strict=True):
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)
            dark.append(at(grey, p[[37, 38, 43, 44]]) < at(grey, (p[[17, 26]] + p[[36, 45]]) / 2))
            redness = image[..., 0].astype(float) / (image.sum(axis=2) + 1)
            red.append(at(redness, (p[[50, 52]] + p[[61, 63]]) / 2) > at(redness, p[[2, 14]] * 0.6 + p[[31, 35]] * 0.4))
    assert np.mean(dark) > 0.85
    assert np.mean(red) > 0.85


def test_a_person_stays_and_moves():
    """The width between the eyes, which no action unit moves, changes with the pose only; the head never jumps."""
    for index in (0, 1, 9):
        points = render_clip_landmarks(index, 2).astype(float)
        apart = np.linalg.norm(points[:, 45] - points[:, 36], axis=1)
        assert np.ptp(apart) / apart.mean() < 0.25
        step = np.linalg.norm(np.diff(points[:, 27:31].mean(axis=1), axis=0), axis=1)
        assert step.mean() > 0.02
        assert step.max() < 4
    images, _ = render_clip(0, 2, [0, 1])
    assert (images[0, :6, :6] != images[1, :6, :6]).any()


def test_blinks_close_the_eyes():
    opening, closed = [], []
    for index in range(0, 210, 7):
        points, (_, truth) = render_clip_landmarks(index, 5), render_clip(index, 5, [])
        assert truth.eyes_closed.shape == (0,)
        gap = np.linalg.norm(points[:, [37, 38, 43, 44]] - points[:, [41, 40, 47, 46]], axis=2).mean(axis=1)
        opening.append(gap / np.median(gap))
    for index in range(0, 70, 7):
        if (shut := render_clip(index, 5, [0])[1].eyes_closed[0]) in (0, 1):
            closed.append((shut, opening[index // 7][0]))
    lowest = np.array([gaps.min() for gaps in opening])
    assert (lowest < 0.05).any()
    assert 0.2 < (lowest < 0.3).mean() < 0.8
    assert all(gap < 0.05 if shut else gap > 0.5 for shut, gap in closed)


def test_episodes_say_when_an_expression_shows():
    cut_off = 0
    for index in range(1, 70):
        _, truth = render_clip(index, 6, [])
        strength = intensities(index, 6)
        seconds = ALL / float(RATE)
        inside = np.zeros(strength.shape, bool)
        for episode in truth.episodes:
            row = BASIC_7.index(episode.label)
            assert episode.onset_s < episode.apex_s < episode.offset_s
            assert episode.offset_s > 0
            assert episode.onset_s < FRAMES / float(RATE)
            inside[row] |= (seconds > episode.onset_s + 1e-9) & (seconds < episode.offset_s - 1e-9)
            nearest = np.abs(seconds - episode.apex_s).argmin()
            if 0 < nearest < 47:
                np.testing.assert_allclose(strength[row, nearest], episode.intensity, rtol=1e-6)
            cut_off += episode.onset_s < 0
        np.testing.assert_array_equal(strength > 0, inside)
    assert cut_off > 20


# Time is needed


def test_courses_keep_to_their_ranges():
    ranges = {"rise": RISE, "hold": HOLD, "fall": RISE, "peak": PEAK}
    for index in range(1, 300):
        for bump in course(index, 9):
            for name, (low, high) in ranges.items():
                assert low <= getattr(bump, name) <= high
        if index % 7:
            first, second = course(index, 9)
            assert (BEFORE[second.label], second.label) == (first.label, BASIC_7.names[index % 7])
            assert shared(first, second) == pytest.approx(np.clip(shared(first, second), *OVERLAP))
            rest = FRAMES - first.length - (second.onset - first.onset) % FRAMES - second.length + first.length
            assert rest > 7
    assert course(0, 9) == ()


def shared(first, second):
    """How much of the shorter slope two expressions share."""
    overlap = first.length - (second.onset - first.onset) % FRAMES
    return overlap / min(first.fall, second.rise)


def test_run_backwards_it_is_a_clip_of_the_other_class():
    """The mirrored course has the same frames in the reverse order, keeps to the same ranges, and swaps the roles."""
    for index in range(1, 200):
        if index % 7 == 0:
            continue
        first, second = course(index, 4)
        mirrored = [mirror(bump) for bump in (second, first)]
        for bump, other in zip((first, second), reversed(mirrored), strict=True):
            np.testing.assert_allclose(bump.intensity(ALL)[::-1], other.intensity(ALL), atol=1e-9)
        assert shared(*mirrored) == pytest.approx(shared(first, second))
        assert OVERLAP[0] - 1e-9 < shared(*mirrored) < OVERLAP[1] + 1e-9


def mirror(bump: Bump) -> Bump:
    return replace(bump, onset=(FRAMES - 1 - bump.onset - bump.length) % FRAMES, rise=bump.fall, fall=bump.rise)


def test_cap_of_one_frame_against_a_simulation():
    """Courses drawn here, from the ranges alone; the oracle sees both intensities and guesses the stronger one."""
    rng, n = np.random.default_rng(0), 200_000
    rise, fall, hold = rng.uniform(6, 9, (2, n)), rng.uniform(6, 9, (2, n)), rng.uniform(2, 5, (2, n))
    length = rise + hold + fall
    start = np.stack([np.zeros(n), length[0] - rng.uniform(0.6, 0.9, n) * np.minimum(fall[0], rise[1])])
    now = (17 - rng.uniform(0, 48, n) - start) % 48
    shown = np.clip(np.minimum(now / rise, (length - now) / fall), 0, 1) * rng.uniform(0.3, 1, (2, n))
    expressive = shown.max(axis=0) > 0
    assert expressive.mean() == pytest.approx(expressive_share(), abs=0.004)
    right = (1 + 6 * np.mean(expressive & (shown[1] > shown[0]))) / 7
    assert single_frame_cap() == pytest.approx(right, abs=0.004)
    assert single_frame_cap() == pytest.approx(0.42634, abs=1e-5)
    assert unordered_cap() == pytest.approx(4 / 7)


@pytest.mark.parametrize("frame", [0, 23, 47])
def test_no_frame_number_helps_an_oracle_that_has_learnt_the_generator(frame):
    """It counts labels by the intensities of all expressions, in tenths, on half of the clips; the rest it answers."""
    n, seen = 4900, defaultdict[tuple[float, ...], Counter[int]](Counter)
    cells = [tuple(np.ceil(intensities(index, 8, np.array([frame]))[:, 0] * 10)) for index in range(n)]
    for index in range(n // 2):
        seen[cells[index]][index % 7] += 1
    answers = [seen[cells[i]].most_common(1)[0][0] if cells[i] in seen else 1 for i in range(n // 2, n)]
    accuracy = np.mean([answer == i % 7 for answer, i in zip(answers, range(n // 2, n), strict=True)])
    assert accuracy == pytest.approx(single_frame_cap(), abs=0.03)


def turning(strength):
    """Which way two intensities ``[2, N]`` go round each other: positive if the first leads."""
    a, b = strength
    return np.sum(a[:-1] * b[1:] - a[1:] * b[:-1])


def test_the_order_solves_it():
    right, sampled, shuffled, rng = [], [], [], np.random.default_rng(1)
    for index in (i for i in range(1400) if i % 7):
        label = BASIC_7.names[index % 7]
        rows = [BASIC_7.index(BEFORE[label]), BASIC_7.index(label)]
        strength = intensities(index, 2)[rows]
        right.append(turning(np.column_stack([strength, strength[:, :1]])) > 0)
        sampled.append(turning(strength[:, EVALUATED]) > 0)
        shuffled.append(turning(strength[:, rng.permutation(EVALUATED)]) > 0)
    assert np.mean(right) == 1
    assert np.mean(sampled) > 0.9
    assert np.mean(shuffled) == pytest.approx(0.5, abs=0.05)


def test_sway_is_as_wide_as_it_says():
    spread = {name: np.std([random_sway(np.random.default_rng(i))[name][0] for i in range(250)]) for name in SWAY}
    for name, wanted in SWAY.items():
        assert spread[name] == pytest.approx(wanted, rel=0.2)


# The data set


def test_persons_are_in_one_part_only():
    listed = read_dataset("synthetic_clips")
    assert listed == read()
    assert len({sample.key for sample in listed}) == len(listed) == 2800
    persons = defaultdict(set)
    for sample in listed:
        persons[sample.split].add(sample.subject)
    assert [len(persons[split]) / 400 for split in ("train", "valid", "test")] == pytest.approx(
        [0.6, 0.2, 0.2], abs=0.01
    )
    assert not persons["train"] & persons["valid"]
    assert not (persons["train"] | persons["valid"]) & persons["test"]
    assert set(Counter(sample.subject for sample in listed).values()) == {7}
    assert set(Counter((sample.subject, sample.targets.label) for sample in listed).values()) == {1}
    splits = make_splits(listed, DataConfig(reader="synthetic_clips"))
    assert [len(splits.train), len(splits.valid), len(splits.test)] == [len(persons[s]) * 7 for s in persons]


def test_samples_match_what_is_drawn(clips):
    for index, (sample, (images, truth)) in enumerate(zip(samples(14, 3), clips, strict=True)):
        assert sample.source == RenderedClip(RENDERER, index, 3, FRAMES, RATE)
        assert sample.targets.label == truth.label
        drawn, _ = resolve(RENDERER)(index, 3, [4])
        np.testing.assert_array_equal(drawn[0], images[1])
        assert (sample.targets.intensity == 0) == (truth.label == "neutral")
    with pytest.raises(DatasetError, match="at least 1; given: 0"):
        samples(0)


def test_there_is_no_root(tmp_path):
    with pytest.raises(DatasetError, match="lie nowhere"):
        read_dataset("synthetic_clips", tmp_path)


def test_sixteen_frames_are_drawn_in_thirty_milliseconds():
    """Five times as much is allowed, because other processes may hold the cores."""
    render_clip(0, 0, [0])
    start = time.process_time()
    for index in range(4):
        render_clip(index, 0, EVALUATED)
    assert (time.process_time() - start) / 4 < 0.15
