import pytest

from mien.media.frames import Problems, check_frame, named
from mien.media.video import VideoLimits, read_video
from mien.schema.errors import ConfigError, MediaError

EVEN = range(0, 2400, 40)


def test_limits(write_video):
    path = write_video("a.mp4", EVEN)
    with pytest.raises(MediaError, match="2 s are to be read; the limit is 1 s"):
        next(read_video(path, limits=VideoLimits(max_duration_s=1)))
    assert len(list(read_video(path, start_s=0.5, end_s=1.0, limits=VideoLimits(max_duration_s=1)))) == 12
    with pytest.raises(MediaError, match="more than 10 frames"):
        list(read_video(path, limits=VideoLimits(max_frames=10)))
    with pytest.raises(MediaError):
        read_video(path, limits=VideoLimits(max_pixels=1000))


def test_a_length_that_nobody_tells_is_limited_too():
    check_frame(0, 1.0, (10, 10), VideoLimits(max_duration_s=1))
    with pytest.raises(MediaError, match="longer than 1 s"):
        check_frame(0, 1.01, (10, 10), VideoLimits(max_duration_s=1))


def test_a_part_beyond_the_end(write_video):
    with pytest.raises(MediaError, match="no frame could be read from 60 s to the end"):
        list(read_video(write_video("a.mp4", EVEN), start_s=60))


def test_closing_early_lets_go_of_the_file(write_video):
    path = write_video("a.mp4", EVEN)
    with read_video(path) as reader:
        next(reader)
    assert list(reader) == []
    path.unlink()


def test_problems_are_sentences():
    assert str(Problems()) == ""
    assert str(Problems(damaged=1)) == "1 frame is damaged and left out."
    assert str(Problems(damaged=3, notes=["It ends."])) == "3 frames are damaged and left out. It ends."


def test_whatever_a_decoder_raises_names_the_source():
    def fail(error):
        with named("talk.mp4"):
            raise error

    with pytest.raises(MediaError, match=r"talk\.mp4 cannot be read: it is empty"):
        fail(MediaError("it is empty"))
    with pytest.raises(MediaError, match=r"talk\.mp4 cannot be read: its content is damaged \(first\)"):
        fail(RuntimeError("first\nsecond"))
    with pytest.raises(ConfigError, match=r"^every$"):
        fail(ConfigError("every"))
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())
