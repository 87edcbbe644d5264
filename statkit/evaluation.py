"""Scores of a network: prec@k (prec@1 is top-1 accuracy), attention on the actor, attention in the
action."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .data.stored import FrameStore, Source
from .models import NetOutput, STATNet
from .runtime.device import autocast
from .sampling import BatchIndex, eval_batches, segment_indices


def precision_at_k(logits: Tensor, labels: Tensor, k: Sequence[int] = (1, 5)) -> tuple[float, ...]:
    """Share of clips, in per cent, whose label (int64 ``[N]``) is among the k highest logits
    ``[N, classes]``; one number per k. A k above the number of classes counts all."""
    if len(logits) != len(labels) or not len(labels):
        raise ValueError(f"{len(logits)} predictions for {len(labels)} labels")
    ranked = logits.topk(min(max(k), logits.shape[1]), dim=1).indices
    hits = ranked == labels[:, None]
    return tuple(100 * hits[:, :n].any(1).float().mean().item() for n in k)


def attention_on_actor(maps: Tensor, masks: Tensor) -> Tensor:
    """float32 ``[N]``: mean attention on the actor over mean attention in the frame. 1 means
    uniform attention, more is better; NaN where there is no actor or no attention.

    Args:
        maps: ``[N, h, w]``, not negative.
        masks: bool ``[N, H, W]``, the actor's pixels.
    """
    cover = F.interpolate(masks[:, None].float(), size=maps.shape[-2:], mode="area")[:, 0]
    on_actor = (maps * cover).sum((1, 2)) / cover.sum((1, 2))
    return on_actor / maps.mean((1, 2))


def attention_in_action(weights: Tensor, positions: Tensor, intervals: Tensor) -> Tensor:
    """``[B]``: share of the temporal attention, weights ``[B, K]`` with sum 1, on the frames with
    positions ``[B, K]`` inside the true action, intervals ``[B, 2]`` (first frame, last + 1)."""
    inside = (positions >= intervals[:, :1]) & (positions < intervals[:, 1:])
    return (weights * inside).sum(1)


def unit_map_sum(maps: Tensor) -> Tensor:
    """float64 ``[D]``: the sum of the unit vectors ``Q/||Q||_2`` of maps ``[N, ...]``."""
    return F.normalize(maps.flatten(1).float().cpu(), dim=1).double().sum(0)


def map_distances(mean: Tensor) -> tuple[float, float]:
    """How much a block's attention maps say, from their mean ``[D]`` alone.

    With u_n the unit map of a frame (Equation 2) and m = mean_n u_n, both are root mean squares
    over the frames, from 0 to sqrt(2):

    - **from blind**, the distance to the map b that is equal everywhere:
      ``sqrt(mean_n ||u_n - b||^2) = sqrt(2 - 2 m.b)``;
    - **specific**, the distance to one map for all clips, their scaled mean:
      ``sqrt(mean_n ||u_n - m/||m|| ||^2) = sqrt(2 - 2 ||m||)``. It is 0 if all frames have one map.
    """
    blind = mean.sum() / len(mean) ** 0.5
    from_blind, specific = (2 - 2 * torch.stack([blind, mean.norm()])).clamp_min(0).sqrt().tolist()
    return from_blind, specific


def weight_distances(weights: Tensor) -> tuple[float, float]:
    """How much the temporal weights ``[N, K]`` say. Both are root mean squares over clips n and
    intervals k:

    - **from equal**, the distance to equal weights: ``sqrt(mean_nk (a_nk - 1/K)^2)``;
    - **spread** between clips, the distance to the mean weights of all clips:
      ``sqrt(mean_nk (a_nk - mean_n a_nk)^2)``. It is never larger than *from equal*.
    """
    weights = weights.double()
    from_equal = (weights - 1 / weights.shape[1]).square().mean().sqrt().item()
    return from_equal, (weights - weights.mean(0)).square().mean().sqrt().item()


@dataclass(frozen=True)
class Evaluation:
    """The results of one network on some clips; attention scores exist only for a known truth.

    prec1, prec5 in per cent; logits ``[N, classes]``; features ``[N, K, C]``; embedding ``[N, C]``;
    weights ``[N, K]``; in_action: a share from 0 to 1; in_action_blind: the share for equal
    weights; actor_scores ``[4, N*K]``: :func:`attention_on_actor` of every block on every frame,
    and on_actor their means; from_blind and specific: a number per block (:func:`map_distances`).
    """

    prec1: float
    prec5: float
    logits: Tensor
    features: Tensor
    embedding: Tensor
    weights: Tensor
    on_actor: tuple[float, ...] | None = None
    in_action: float | None = None
    in_action_blind: float | None = None
    actor_scores: Tensor | None = None
    from_blind: tuple[float, ...] = ()
    specific: tuple[float, ...] = ()


@torch.no_grad()
def forward_eval(
    network: STATNet, source: Source, draw: BatchIndex, *, precision: str = "auto"
) -> NetOutput:
    """The network's output for one batch, in evaluation mode."""
    network.eval()
    device = next(network.parameters()).device
    with autocast(device, precision, temporal=network.temporal):
        return network(source.pixels(draw, temporal=network.temporal, device=device))


@dataclass(frozen=True)
class Prediction:
    """The output of one network for one clip (Figure 5).

    frames float32 ``[K, H, W, 3]`` in 0..1, the network's input; maps, four arrays ``[K, h, w]``,
    Equation 1 of each block; weights ``[K]``, the temporal attention; answer, the most probable
    class; inside, bool ``[K]``, which intervals lie in the true action; probabilities float32
    ``[classes]``.
    """

    frames: np.ndarray
    maps: tuple[np.ndarray, ...]
    weights: np.ndarray
    answer: str
    probability: float
    inside: np.ndarray | None = None
    probabilities: np.ndarray | None = None


def predict_frames(
    network: STATNet, frames: np.ndarray, size: tuple[int, int], classes: Sequence[str]
) -> Prediction:
    """Apply a network to the centre frames of a clip's intervals; 2-D networks only. The clip's HR
    or LR frames, uint8 ``[T, h, w, 3]``, are resized to ``size``, the network's input size."""
    source, lengths = Source(frames[None], size), np.array([len(frames)])
    draw = next(eval_batches(np.array([0]), lengths, network.segments, 1, batch_size=1))
    output = forward_eval(network, source, draw)
    seen = source.pixels(draw, temporal=False)[0].permute(0, 2, 3, 1)
    probabilities = output.logits[0].float().softmax(0).cpu().numpy()
    best = int(probabilities.argmax())
    return Prediction(
        seen.numpy(),
        tuple(values.float().cpu().numpy() for values in output.attention_maps),
        output.tam.weights[0].float().cpu().numpy(),
        classes[best],
        float(probabilities[best]),
        probabilities=probabilities,
    )


def predict_stored(network: STATNet, source: Source, store: FrameStore, clip: int) -> Prediction:
    """Apply a network to one stored clip, see :func:`predict_frames`; adds the true action."""
    length, truth = store.lengths[clip], store.dataset.truth
    frames, classes = source.frames[clip, :length], store.dataset.classes
    look = predict_frames(network, frames, source.size, classes)
    if truth is None:
        return look
    start, stop = truth.intervals[clip]
    shown = store.positions[clip, segment_indices(length, network.segments)[:, 0]]
    return replace(look, inside=(shown >= start) & (shown < stop))


def evaluate(
    network: STATNet,
    source: Source,
    store: FrameStore,
    clips: np.ndarray,
    *,
    batch_size: int = 32,
    precision: str = "auto",
    flips: bool = False,
    offsets: int = 1,
) -> Evaluation:
    """Evaluate on interval centres, whole frames, one view.

    With ``flips``, the logits are averaged over the clip and the mirrored clip; with several
    ``offsets``, over that number of places in each interval. Features, embedding, weights and
    attention scores always come from the centres.
    """
    store.fill(clips)
    truth = store.dataset.truth
    seen, on_actor, positions = [], [], []
    sums, maps_seen = [torch.zeros(())] * 4, 0
    per_segment = network.frames_per_segment
    which = clips, store.lengths, network.segments, per_segment
    for draw in eval_batches(*which, batch_size=batch_size):
        output = forward_eval(network, source, draw, precision=precision)
        parts = output.logits, output.features, output.embedding, output.tam.weights
        seen.append([part.float().cpu() for part in parts])
        units = (unit_map_sum(values) for values in output.attention_maps)
        sums = [before + unit for before, unit in zip(sums, units, strict=True)]
        maps_seen += len(output.attention_maps[0])
        if truth is None:
            continue
        positions.append(store.positions[draw.clips[:, None], draw.frames[..., per_segment // 2]])
        if not network.temporal:
            masks, maps = actor_masks(store, draw), output.attention_maps
            on_actor.append(torch.stack([attention_on_actor(m.float().cpu(), masks) for m in maps]))
    answers, features, embedding, weights = map(torch.cat, zip(*seen, strict=True))
    in_action = blind = None
    if truth is not None:
        where = [torch.from_numpy(a) for a in (np.concatenate(positions), truth.intervals[clips])]
        equal = torch.full_like(weights, 1 / network.segments)
        in_action, blind = (attention_in_action(w, *where).mean().item() for w in (weights, equal))
    if flips or offsets > 1:
        looks = []
        for view, place in product(range(1 + flips), (np.arange(offsets) + 0.5) / offsets):
            draws = eval_batches(*which, batch_size=batch_size, place=place, view=view)
            outputs = (forward_eval(network, source, draw, precision=precision) for draw in draws)
            looks.append(torch.cat([output.logits.float().cpu() for output in outputs]))
        answers = torch.stack(looks).mean(0)
    labels = torch.from_numpy(store.dataset.labels[clips])
    prec1, prec5 = precision_at_k(answers, labels)
    scores = torch.cat(on_actor, 1) if on_actor else None
    distances = [map_distances(one / maps_seen) for one in sums]
    return Evaluation(
        prec1,
        prec5,
        answers,
        features,
        embedding,
        weights,
        None if scores is None else tuple(scores.nanmean(1).tolist()),
        in_action,
        blind,
        scores,
        *zip(*distances, strict=True),
    )


def actor_masks(store: FrameStore, draw: BatchIndex) -> Tensor:
    """bool ``[B*K, H, W]``: the actor in each frame of the batch, in view 0, at the clip's size."""
    positions = store.positions[draw.clips[:, None], draw.frames[..., 0]]
    truth = store.dataset.truth
    assert truth is not None
    masks = [truth.mask(clip)[frames] for clip, frames in zip(draw.clips, positions, strict=True)]
    return torch.from_numpy(np.concatenate(masks))


def fit_probe(features: Tensor, labels: np.ndarray, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Fit a logistic regression to frozen features, float32 ``[N, C]``, each standardised first;
    in the labels ``[N]`` each class, from 0 on, occurs at least once. The result is the weight
    ``[classes, C]`` and bias ``[classes]`` of the equivalent linear layer on the features as given.
    """
    from sklearn.linear_model import LogisticRegression

    mean, spread = features.mean(0), features.std(0, correction=0).clamp_min(1e-6)
    classifier = LogisticRegression(C=0.01, max_iter=2000, random_state=seed)
    classifier.fit(((features - mean) / spread).numpy(), labels)
    weight = torch.from_numpy(classifier.coef_).float()
    bias = torch.from_numpy(classifier.intercept_).float()
    if len(weight) == 1:  # scikit-learn gives one row for two classes
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    weight = weight / spread
    return weight, bias - weight @ mean


def linear_probe(
    train: Tensor, train_labels: np.ndarray, test: Tensor, test_labels: np.ndarray, *, seed: int = 0
) -> tuple[float, ...]:
    """prec@1 and prec@5 of logistic regression on frozen features ``[N, C]``."""
    weight, bias = fit_probe(train, train_labels, seed=seed)
    return precision_at_k(test @ weight.T + bias, torch.from_numpy(test_labels))


def start_as_probe(
    network: STATNet,
    source: Source,
    store: FrameStore,
    clips: np.ndarray,
    *,
    seed: int = 0,
    keep_tam: bool = False,
) -> None:
    """Set the head, in place, so that the network equals a linear probe on its embedding.

    The TAM's second layer becomes 0: the weights are equal and the embedding is the mean feature.
    ``keep_tam`` leaves the TAM unchanged. Fine-tuning from this start moves the features less than
    fine-tuning from a random head (Kumar et al., 2022).
    """
    if not keep_tam:
        nn.init.zeros_(network.tam.fc2.weight)
        nn.init.zeros_(network.tam.fc2.bias)
    found = evaluate(network, source, store, clips)
    weight, bias = fit_probe(found.embedding, store.dataset.labels[clips], seed=seed)
    network.head.load_state_dict({"weight": weight, "bias": bias})


def best_answers(
    probabilities: np.ndarray, classes: Sequence[str], count: int = 5
) -> list[tuple[str, float]]:
    """The ``count`` most probable classes, the most probable first, each with its probability."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [(classes[label], float(probabilities[label])) for label in order]
