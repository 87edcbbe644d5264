import os
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from statkit.data import own_clip
from statkit.data.frames import FrameSettings, both_sides
from statkit.data.own_clip import noise_clip, read_bytes, read_clip
from statkit.data.stored import Source, store_frames
from statkit.evaluation import best_answers, predict_frames, predict_stored
from statkit.models import build_model
from statkit.plots.own_clip import draw_own_clip
from statkit.runtime.parameters import pasted_path
from statkit.runtime.progress import HEADLESS
from statkit.video import VideoError, probe, write_video
from statkit.widgets import Explorer, Slider
from statkit.widgets.picker import ClipChoice
from statkit.widgets.picture import ERROR_CLASS


def audio_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.rate, sound.pts, sound.time_base = 16000, 0, Fraction(1, 16000)
        container.mux([*stream.encode(sound), *stream.encode()])


def upload(box, name, content, part=5000):
    """What the browser's half sends."""
    size, starts = len(content), range(0, len(content) + 1, part)
    for at in starts:
        about = {"name": name, "size": size, "at": at, "last": at == starts[-1]}
        box.upload._handle_custom_msg(about, [memoryview(content[at : at + part])])


def video(path, shape, rng):
    write_video(path, rng.integers(0, 256, (*shape, 3), np.uint8))
    return path


@pytest.fixture
def bad_files(tmp_path, clip):
    files = {name: tmp_path / f"{name}.mp4" for name in ("empty", "text", "truncated", "audio")}
    files["empty"].touch()
    files["text"].write_text("this is not a video\n" * 50)
    files["truncated"].write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    audio_only(files["audio"])
    return files


WORDS = {"empty": "empty", "text": "not readable", "truncated": "mp4", "audio": "no video stream"}


@pytest.mark.parametrize("name", WORDS)
def test_a_bad_file_is_named_with_its_reason(bad_files, name):
    for read in (read_clip, lambda path: read_bytes(path.read_bytes(), path.name)):
        with pytest.raises(VideoError, match=WORDS[name]) as told:
            read(bad_files[name])
        assert f"{name}.mp4" in str(told.value)
    assert "statkit-" not in str(told.value)


def test_a_path_is_taken_as_people_paste_it(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MYCLIPS", str(tmp_path / "my clips"))
    own = tmp_path / "my clips" / "100% #1.mp4"
    own.parent.mkdir()
    own.write_bytes(clip.read_bytes())
    box = ClipChoice("", spare=clip)
    for text in (
        str(own),
        f"  {own}\n",
        f'"{own}"',
        f"'{own}'",
        f"“{own}”",
        f"'\"{own}\"'",
        own.as_uri(),
        f"'{own.as_uri()}'",
        f"file://localhost{own}".replace("%", "%25"),
        "file:my%20clips/100%25%20%231.mp4",
        "~/my clips/100% #1.mp4",
        "$MYCLIPS/100% #1.mp4",
        "${MYCLIPS}/100% #1.mp4",
        "my clips/100% #1.mp4",
        str(own).replace(" ", "\\ ").replace("#", "\\#"),
    ):
        box.path.value = ""
        box.path.value = text
        assert "100% #1.mp4</b>" in box.words.value, text
        assert pasted_path(text).samefile(own)
    (tmp_path / "$MYCLIPS").write_bytes(clip.read_bytes())  # a file of exactly this name
    assert read_clip("$MYCLIPS").name == "$MYCLIPS"
    for text, words in (
        (str(own.parent), "a folder"),
        ("~nobody/x.mp4", "no such"),
        ("\0", "no s"),
    ):
        with pytest.raises(VideoError, match=words):
            read_clip(text)
    with pytest.raises(VideoError, match="no such file"):
        read_clip("x" * 5000)


def test_a_clip_is_read_as_those_of_a_data_set(dataset):
    store = store_frames(dataset, progress=False)
    own = read_clip(dataset.path(3))
    assert np.array_equal(own.hr, store.hr[3])
    assert np.array_equal(own.lr, both_sides(own.whole, FrameSettings(), own.name)[1])
    uploaded = read_bytes(memoryview(dataset.path(3).read_bytes()), own.name)
    assert np.array_equal(uploaded.hr, own.hr) and np.array_equal(uploaded.lr, own.lr)


def test_clips_of_every_size(tmp_path, rng, monkeypatch):
    one = read_clip(video(tmp_path / "one.mp4", (1, 48, 64), rng))
    assert len(one.hr) == len(one.lr) == 1 and one.info.startswith("1 frame,")
    tall = read_clip(video(tmp_path / "tall.mp4", (3, 1080, 608), rng))
    assert tall.whole.shape[1] == own_clip.TALLEST and tall.lr.shape[1:3] == (12, 16)
    assert "1080×608" in tall.info
    with pytest.raises(VideoError, match="fewer than the student's camera"):
        read_clip(video(tmp_path / "tiny.mp4", (4, 10, 12), rng))
    long = video(tmp_path / "long.mp4", (20, 48, 64), rng)
    with pytest.raises(VideoError, match="more than 19 frames"):
        probe(long, most=19)
    assert probe(long, most=20).num_frames == 20
    monkeypatch.setattr(own_clip, "MOST_PIXELS", 48 * 64 - 1)
    with pytest.raises(VideoError, match="48x64 pixels are too large"):
        read_clip(long)
    monkeypatch.setattr(own_clip, "MOST_BYTES", 1000)
    for read in (read_clip, lambda path: read_bytes(path.read_bytes(), path.name)):
        with pytest.raises(VideoError, match="at most"):
            read(long)


def test_an_upload_leaves_no_file(tmp_path, clip, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    read_bytes(clip.read_bytes(), "../../mine.mp4")
    with pytest.raises(VideoError):
        read_bytes(b"nonsense", "bad.mp4")
    assert list(tmp_path.iterdir()) == []


def test_stored_and_raw_frames_give_the_same_look(dataset):
    torch.manual_seed(0)
    network = build_model("demo", len(dataset.classes)).eval()
    store = store_frames(dataset, progress=False)
    source = Source(store.lr, (36, 48))
    stored = predict_stored(network, source, store, 5)
    raw = predict_frames(network, store.lr[5], (36, 48), dataset.classes)
    assert np.array_equal(stored.frames, raw.frames) and np.array_equal(stored.weights, raw.weights)
    assert all(np.array_equal(a, b) for a, b in zip(stored.maps, raw.maps, strict=True))
    assert raw.probabilities.sum() == pytest.approx(1) and raw.inside is None
    assert stored.probability == stored.probabilities.max()
    start, stop = dataset.truth.intervals[5]
    frames = (np.arange(network.segments) * 2 + 1)[: len(stored.inside)]
    assert stored.inside.tolist() == [bool(start <= t < stop) for t in frames]


def test_the_best_answers_come_first():
    found = best_answers(np.array([0.1, 0.6, 0.3]), "abc", 2)
    assert found == [("b", 0.6), ("c", 0.3)]
    assert len(best_answers(np.array([0.4, 0.6]), "ab")) == 2


def test_noise_is_a_clip_too():
    clip = noise_clip(FrameSettings(), 1)
    assert clip.hr.shape == (16, 72, 96, 3) and clip.lr.shape == (16, 12, 16, 3)
    assert 120 < clip.hr.mean() < 135 and not np.array_equal(
        clip.hr, noise_clip(FrameSettings()).hr
    )


def test_a_bad_file_is_told_in_the_page_and_the_clip_stays(bad_files, clip):
    choice = ClipChoice("", spare=clip)
    before = choice.value
    for name, path in bad_files.items():
        upload(choice, path.name, path.read_bytes())
        assert ERROR_CLASS in choice.words.value and name in choice.words.value
        assert choice.value is before
        choice.path.value = str(path)
        assert ERROR_CLASS in choice.words.value and choice.value is before
    upload(choice, "<good>.mp4", clip.read_bytes())
    assert choice.value is not before and "&lt;good&gt;" in choice.words.value


def test_an_upload_that_is_too_large_or_broken_off_is_told(clip):
    box = ClipChoice("", spare=clip)
    before, size = box.value, own_clip.MOST_BYTES + 1
    box.upload._handle_custom_msg({"name": "huge.mp4", "size": size, "last": True}, [])
    assert "at most 200 MB" in box.words.value
    about = {"name": "half.mp4", "size": 900, "at": 0, "last": True}
    box.upload._handle_custom_msg(about, [memoryview(b"x" * 400)])
    assert "400 of 900 bytes" in box.words.value and box.value is before
    upload(box, "good.mp4", clip.read_bytes())
    assert box.value.name == "good.mp4"


def test_a_bad_first_file_is_told_live_and_fails_a_headless_run(bad_files, clip, monkeypatch):
    choice = ClipChoice(str(bad_files["text"]), spare=clip)
    assert ERROR_CLASS in choice.words.value and choice.value.name == clip.name
    monkeypatch.setitem(os.environ, HEADLESS, "1")
    with pytest.raises(VideoError, match="text.mp4"):
        ClipChoice(str(bad_files["text"]), spare=clip)


def test_one_choice_serves_two_pictures_by_both_doors(dataset, clip, rng, tmp_path):
    torch.manual_seed(0)
    network = build_model("demo", len(dataset.classes)).eval()

    def draw(clip, height):
        look = predict_frames(network, clip.lr, (36, 48), dataset.classes)
        return draw_own_clip(clip, {"stat": look}, {"stat": "S"}, dataset.classes, rows=height)

    choice = ClipChoice("", spare=clip)
    controls = {"clip": choice, "height": Slider("Rows", 6, 48, 12)}
    first, second = Explorer(draw, controls).show(), Explorer(draw, controls).show()
    first.check(controls)
    other = video(tmp_path / "other.mp4", (1, 12, 16), rng)
    choice.path.value = str(other)
    for explorer in (first, second):
        assert explorer.error is None and explorer.figure.alt.startswith("other.mp4")
        assert explorer.figure.shown["stat_probabilities"].shape == (len(dataset.classes),)
