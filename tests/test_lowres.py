import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from statkit.lowres import centre_crop, resize, to_low_res


def exact_area_average(frames, size):
    """Integrate the picture over each LR pixel, one at a time, in float64."""
    _, height, width, _ = frames.shape
    out = np.zeros((len(frames), *size, 3))
    for i in range(size[0]):
        for j in range(size[1]):
            y0, y1 = i * height / size[0], (i + 1) * height / size[0]
            x0, x1 = j * width / size[1], (j + 1) * width / size[1]
            area = 0.0
            for y in range(int(y0), int(np.ceil(y1))):
                for x in range(int(x0), int(np.ceil(x1))):
                    part = (min(y + 1, y1) - max(y, y0)) * (min(x + 1, x1) - max(x, x0))
                    out[:, i, j] += part * frames[:, y, x]
                    area += part
            out[:, i, j] /= area
    return out


@pytest.mark.parametrize(
    "shape, size", [((48, 64), (12, 16)), ((50, 67), (12, 16)), ((30, 40), (9, 11))]
)
def test_without_blur_and_noise_it_is_the_area_average(rng, shape, size):
    frames = rng.integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    expected = exact_area_average(centre_crop(frames, size), size)
    assert np.abs(to_low_res(frames, size, blur=0, noise=0) - expected).max() <= 0.501


@pytest.mark.parametrize("shape", [(50, 67), (113, 201), (12, 16)])
def test_each_frame_is_degraded_alone(rng, shape):
    frames = rng.integers(0, 256, (5, *shape, 3), dtype=np.uint8)
    for blur in (0, 0.25):
        together = to_low_res(frames, blur=blur, noise=0)
        alone = [to_low_res(frames[i : i + 1], blur=blur, noise=0)[0] for i in range(5)]
        assert np.array_equal(together, alone)


def test_blur_is_a_gaussian_in_low_resolution_pixels(rng):
    frames = rng.integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    light = frames.astype(float)
    for axis in (1, 2):
        light = gaussian_filter1d(light, 0.5 * 4, axis=axis, mode="nearest", truncate=8)
    expected = exact_area_average(light, (12, 16))
    assert np.abs(to_low_res(frames, (12, 16), blur=0.5, noise=0) - expected).max() < 0.6


def test_noise_has_the_asked_spread_and_follows_the_seed():
    grey = np.full((20, 48, 64, 3), 128, np.uint8)
    noisy = to_low_res(grey, noise=5.0, seed=3)
    assert abs(noisy.std() - 5.0) < 0.2 and abs(noisy.mean() - 128) < 0.2
    assert np.array_equal(noisy, to_low_res(grey, noise=5.0, seed=3))
    assert not np.array_equal(noisy, to_low_res(grey, noise=5.0, seed=4))


def test_crop_is_central_and_has_the_targets_aspect():
    wide = np.zeros((1, 30, 100, 3), np.uint8)
    wide[:, :, 30:70] = 200
    assert centre_crop(wide, (12, 16)).shape == (1, 30, 40, 3)
    assert to_low_res(wide, noise=0, blur=0).min() == 200


def test_resize_keeps_what_is_constant_and_enlarges_smoothly():
    ramp = np.repeat(np.arange(8, dtype=np.uint8) * 30, 6).reshape(1, 8, 6, 1).repeat(3, -1)
    large = resize(ramp, (32, 24))
    assert large.shape == (1, 32, 24, 3)
    steps = np.diff(large[0, :, 0, 0].astype(int))
    assert steps.min() >= 0 and steps.max() <= 8


@pytest.mark.parametrize(
    "frames, options, words",
    [
        (np.zeros((1, 48, 64, 3), np.float32), {}, "uint8"),
        (np.zeros((48, 64, 3), np.uint8), {}, r"\[T, H, W, 3\]"),
        (np.zeros((1, 8, 10, 3), np.uint8), {}, "cannot degrade to 12x16"),
        (np.zeros((1, 48, 64, 3), np.uint8), {"noise": -1}, "noise"),
    ],
)
def test_bad_input_is_named(frames, options, words):
    with pytest.raises(ValueError, match=words):
        to_low_res(frames, **options)
