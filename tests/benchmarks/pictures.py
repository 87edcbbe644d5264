"""(c) Attention maps, (d) the LR camera, (e) reading: each against the libraries one would take."""

from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from statkit.lowres import PAPER_SIZE, to_low_res
from statkit.models import STATNet
from statkit.sampling import segment_indices
from statkit.video import read_frames

from .measure import Line, build_peers, compare
from .workload import UCF_SHAPE, Workload, new_network

SEGMENTS = 8


class _Plain(nn.Module):
    """The same network without attention maps, frame by frame: ``[N, 3, H, W]`` to logits."""

    def __init__(self, network: STATNet):
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        net = self.network
        x = net.stem((frames - net.mean) / net.std)
        for block in net.blocks:
            x = block(x)
        return net.head(x.flatten(2).mean(2))


def bench_maps(work: Workload) -> Iterator[Line]:
    """(c) The maps of all four blocks of 8 frames."""
    network = new_network("resnet18", SEGMENTS, seed=0).to(work.device).eval()
    plain = _Plain(network).eval()
    frames = torch.rand(SEGMENTS, 3, 112, 149, device=work.device)
    what = "maps of four blocks, ResNet-18, 8 frames of 112x149"
    peers, missing = build_peers(
        what,
        {
            "pytorch-grad-cam GradCAM": partial(_grad_cam, "GradCAM", plain, frames),
            "pytorch-grad-cam EigenCAM": partial(_grad_cam, "EigenCAM", plain, frames),
            "torch-cam GradCAM": partial(_torch_cam, plain, frames),
        },
    )

    def forward():
        with torch.no_grad():
            plain(frames)

    def ours():
        with torch.no_grad():
            return network(frames[None]).attention_maps

    goals = {"one plain forward": "at most 1.10"} | dict.fromkeys(peers, "at most 1.00")
    yield from compare(
        what, ours, {"one plain forward": forward, **peers}, repeats=21, warm=3, goals=goals
    )
    yield from missing


def _grad_cam(method: str, plain: _Plain, frames: Tensor) -> Callable:
    """A call a block: asked for several layers at once, the library returns their mean alone."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    targets = [ClassifierOutputTarget(0)] * len(frames)

    def maps():
        for block in plain.network.blocks:
            with getattr(pytorch_grad_cam, method)(model=plain, target_layers=[block]) as cam:
                cam(input_tensor=frames, targets=targets)

    return maps


def _torch_cam(plain: _Plain, frames: Tensor) -> Callable:
    from torchcam.methods import GradCAM

    def maps():
        with GradCAM(plain, list(plain.network.blocks)) as cam:
            cam([0] * len(frames), plain(frames))

    return maps


def bench_lowres(work: Workload) -> Iterator[Line]:
    """(d) 16 frames of 240x320 to 12x16."""
    frames = np.random.default_rng(0).integers(0, 256, (16, *UCF_SHAPE[1:]), dtype=np.uint8)
    size = PAPER_SIZE[::-1]

    def area():
        return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])

    def torchvision_resize():
        from torchvision.transforms.v2.functional import resize

        images = torch.from_numpy(frames).permute(0, 3, 1, 2)
        return resize(images, list(PAPER_SIZE), antialias=True).permute(0, 2, 3, 1).numpy()

    def skimage_mean():
        from skimage.transform import resize_local_mean

        def mean():
            images = (resize_local_mean(f, PAPER_SIZE, channel_axis=-1) for f in frames)
            return np.stack([np.rint(255 * image).astype(np.uint8) for image in images])

        return mean

    others = {"OpenCV INTER_AREA": area, "torchvision, antialias": torchvision_resize}
    for what, options, goal in (
        ("LR camera, area average alone", {"blur": 0, "noise": 0}, "at most 1.00"),
        ("LR camera, with blur and noise", {}, "at most 2.00"),
    ):
        peers, missing = build_peers(what, {"scikit-image local mean": skimage_mean})
        goals = {"OpenCV INTER_AREA": goal}
        ours = partial(to_low_res, frames, **options)
        yield from compare(what, ours, others | peers, repeats=25, warm=3, goals=goals)
        yield from missing


def bench_reading(work: Workload) -> Iterator[Line]:
    """(e) K = 8 frames of a clip from the store against decoding them: how much faster."""
    store = work.ucf_like
    paths = [str(store.dataset.path(clip)) for clip in range(len(store.dataset))]
    turn = {"clip": 0}
    frames = segment_indices(UCF_SHAPE[0], SEGMENTS)[:, 0]
    stored = segment_indices(store.settings.frames_per_clip, SEGMENTS)[:, 0]

    def path() -> str:
        turn["clip"] += 1
        return paths[turn["clip"] % len(paths)]

    def ours():
        turn["clip"] += 1
        return np.array(store.hr[turn["clip"] % len(paths)][stored])

    def decord():
        import decord

        return lambda: decord.VideoReader(path(), num_threads=1).get_batch(frames).asnumpy()

    def torchcodec():
        from torchcodec.decoders import VideoDecoder

        return lambda: VideoDecoder(path()).get_frames_at(frames.tolist()).data

    def opencv():
        def read():
            video = cv2.VideoCapture(path())
            for number in range(frames[-1] + 1):
                video.grab()
                if number in frames:
                    video.retrieve()
            video.release()

        return read

    what = "8 frames of a clip, from the store"
    factories = {
        "decord": decord,
        "PyAV": lambda: lambda: read_frames(path(), frames, backend="pyav"),
        "torchcodec": torchcodec,
        "OpenCV": opencv,
    }
    peers, missing = build_peers(what, factories)
    goals = {"decord": "at least 20"} | dict.fromkeys(set(peers) - {"decord"}, "at least 1")
    yield from compare(what, ours, peers, repeats=15, warm=2, goals=goals)
    yield from missing
