import os

import numpy as np
import pytest

from statkit.video import VideoError, probe, read_frames, write_video


@pytest.fixture(scope="module")
def counting_clip(tmp_path_factory):
    """20 frames, each of one grey level that tells its number."""
    path = tmp_path_factory.mktemp("video") / "counting clip.mp4"
    frames = np.arange(20, dtype=np.uint8)[:, None, None, None] * 10
    write_video(path, np.broadcast_to(frames, (20, 48, 64, 3)), fps=10)
    return path


def numbers(frames):
    return np.rint(frames.mean((1, 2, 3)) / 10).astype(int).tolist()


@pytest.mark.parametrize("backend", ["decord", "pyav"])
@pytest.mark.parametrize("indices", [None, [19], [0], [3, 3, 1, 19, 0]])
def test_the_frames_asked_for_in_the_order_asked_for(counting_clip, backend, indices):
    frames = read_frames(counting_clip, indices, backend=backend)
    assert frames.dtype == np.uint8 and frames.shape[1:] == (48, 64, 3)
    assert numbers(frames) == (list(range(20)) if indices is None else indices)


def test_probe_tells_what_decodes(counting_clip):
    info = probe(counting_clip)
    assert (info.num_frames, info.fps, info.height, info.width) == (20, 10.0, 48, 64)


@pytest.mark.parametrize("backend", ["decord", "pyav"])
@pytest.mark.parametrize("indices", [[20], [-1], []])
def test_frames_that_are_not_there(counting_clip, backend, indices):
    with pytest.raises(VideoError, match="counting clip"):
        read_frames(counting_clip, indices, backend=backend)


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 99, None])
@pytest.mark.parametrize("read", [probe, read_frames, lambda p: read_frames(p, backend="pyav")])
def test_unreadable_files_give_one_kind_of_error(tmp_path, content, read):
    path = tmp_path / "broken.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=r"broken\.avi"):
        read(path)


@pytest.mark.parametrize("backend", ["decord", "pyav"])
def test_a_truncated_file_gives_an_error_or_the_frames_that_are_there(
    counting_clip, tmp_path, backend
):
    data = counting_clip.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError):
        read_frames(path, backend=backend)


def test_an_unknown_backend_is_named(counting_clip):
    with pytest.raises(ValueError, match="'gstreamer' is not one of"):
        read_frames(counting_clip, backend="gstreamer")


def test_both_readers_agree_on_real_clips(real_data):
    """MPEG-4 with packed B-frames.

    Every clip if STATKIT_ALL_CLIPS is set, some of them otherwise.
    """
    files = sorted(real_data.glob("original_320x240/**/*.avi"))
    more = sorted(real_data.glob("clips_160x120/**/*.avi"))
    assert len(files) >= 40
    some = not os.environ.get("STATKIT_ALL_CLIPS")
    for file in files[::8] + more[::50] if some else files + more:
        count = probe(file).num_frames
        chosen = [count - 1, 0, count // 2]
        ours, theirs = (read_frames(file, chosen, backend=b) for b in ("decord", "pyav"))
        assert np.array_equal(ours, theirs), file.name
        assert len(read_frames(file)) == count, file.name
