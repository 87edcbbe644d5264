import pytest
import torch

from statkit.attention import spatial_attention
from statkit.backbones import MODELS
from statkit.models import build_model
from statkit.runtime.device import autocast

# (112, 149) in R(2+1)D takes gigabytes; its shape is tested at 24x32 as well.
CASES = [(name, size) for name in MODELS for size in ((12, 16), (24, 32), (112, 149))]


@pytest.mark.parametrize("name, size", CASES)
@torch.no_grad()
def test_output_of_every_network_at_every_size(name, size):
    network = build_model(name, num_classes=7, segments=2).eval()
    time = (4,) if network.temporal else ()
    out = network(torch.rand(1, 2, 3, *time, *size))
    channels = MODELS[name].channels
    assert out.logits.shape == (1, 7) and out.embedding.shape == (1, channels)
    assert out.features.shape == (1, 2, channels) and out.tam.weights.shape == (1, 2)
    assert len(out.block_outputs) == len(out.attention_maps) == 4
    for block, values in zip(out.block_outputs, out.attention_maps, strict=True):
        assert values.shape == (2, *block.shape[2:])
        assert torch.allclose(values, spatial_attention(block))


@torch.no_grad()
def test_embedding_is_the_weighted_sum_of_features():
    network = build_model("demo", 5, 4).eval()
    out = network(torch.rand(3, 4, 3, 24, 32))
    expected = torch.einsum("bk,bkc->bc", out.tam.weights, out.features)
    assert torch.allclose(out.embedding, expected, atol=1e-6)
    assert torch.allclose(out.logits, network.head(expected), atol=1e-5)
    # Section 3.1.2: weighting logits instead is the same for a linear head.
    weighted = (out.tam.weights[..., None] * network.head(out.features)).sum(1)
    assert torch.allclose(out.logits, weighted, atol=1e-5)


def test_native_input_collapses_and_a_small_stem_mends_it():
    frames = torch.rand(1, 8, 3, 12, 16)
    with torch.no_grad():
        plain = build_model("resnet18", 5).eval()(frames)
        small = build_model("resnet18", 5, small_stem=True).eval()(frames)
    assert plain.attention_maps[3].shape[-2:] == (1, 1)
    assert small.attention_maps[3].shape[-2:] == (2, 2)


@pytest.mark.parametrize("name", ["resnet18", "r2plus1d_18"])
def test_partial_batchnorm_freezes_all_but_the_first_layer(name):
    network = build_model(name, 5).freeze_batchnorm("partial").train()
    layers = sum(network._batchnorm_layers(), [])
    assert len(layers) > 10
    assert layers[0].training and layers[0].weight.requires_grad
    assert not any(layer.training or layer.weight.requires_grad for layer in layers[1:])
    network.freeze_batchnorm("train").train()
    assert all(layer.training and layer.weight.requires_grad for layer in layers)


def test_frozen_statistics_do_not_move():
    network = build_model("demo", 5, 2).freeze_batchnorm("partial").train()
    first, second, *_ = sum(network._batchnorm_layers(), [])
    before = first.running_mean.clone(), second.running_mean.clone()
    network(torch.rand(2, 2, 3, 24, 32))
    assert not torch.equal(first.running_mean, before[0])
    assert torch.equal(second.running_mean, before[1])


def test_pretrained_weights_from_a_file(tmp_path):
    from torchvision.models import resnet18

    torch.manual_seed(1)
    source = resnet18()
    state = {k: v for k, v in source.state_dict().items() if not k.startswith("fc.")}
    torch.save(state, tmp_path / "weights.pth")
    network = build_model("resnet18", 5, pretrained=tmp_path / "weights.pth")
    assert torch.equal(network.blocks[3][0].conv1.weight, source.layer4[0].conv1.weight)
    with pytest.raises(ValueError, match="does not fit"):
        build_model("resnet34", 5, pretrained=tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="no weights at"):
        build_model("resnet18", 5, pretrained=tmp_path / "none.pth")


def test_wrong_names_and_shapes_are_refused_in_words():
    with pytest.raises(ValueError, match="'resnet99' is not one of"):
        build_model("resnet99", 5)
    with pytest.raises(ValueError, match="no pretrained weights"):
        build_model("r2plus1d_34", 5, pretrained=True)
    with pytest.raises(ValueError, match=r"takes \[B, 8, 3, H, W\], got \[1, 4, 3, 12, 16\]"):
        build_model("resnet18", 5)(torch.zeros(1, 4, 3, 12, 16))


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_gradients_of_a_3d_network_are_those_of_float32(precision):
    """PyTorch 2.15's bfloat16 ones are not, on CPUs, where a block has two time steps."""
    clips, gradients = torch.rand(2, 2, 3, 5, 24, 32), []
    for how in ("float32", precision):
        torch.manual_seed(0)
        network = build_model("r2plus1d_18", 3, 2).train()
        with autocast(torch.device("cpu"), how, temporal=network.temporal):
            output = network(clips)
        assert output.attention_maps[2].shape[1] == 2
        output.logits.float().square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-4)


def test_a_last_block_of_one_pixel_learns_in_bfloat16_as_in_float32():
    torch.manual_seed(0)
    network = build_model("resnet18", 3, 2).freeze_batchnorm("all").train()
    clips, labels = torch.rand(4, 2, 3, 12, 16), torch.tensor([0, 1, 2, 0])
    found = []
    for half in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = network(clips).logits
        dirty = [torch.full((512 * 256 * 9,), torch.nan) for _ in range(4)]
        del dirty  # what lies in memory is not to be a gradient
        torch.nn.functional.cross_entropy(logits, labels).backward()
        found.append(network.blocks[3][0].conv1.weight.grad.clone())
    assert (found[0] - found[1]).norm() < 0.2 * found[0].norm()
