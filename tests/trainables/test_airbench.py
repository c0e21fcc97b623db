"""The airbench network, its initialisation, optimisers, augmentation and views against independent formulations."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.conftest import real_data
from trainables.airbench import ABLATIONS, AirbenchConfig, make_net
from trainables.airbench.augmentation import _by_choice, _gathered, epoch_flips, epoch_shifts
from trainables.airbench.evaluation import views
from trainables.airbench.layers import conv_pool, whitened
from trainables.airbench.optimizers import Lookahead, make_optimizers, orthogonalised, set_rates

MIRROR = ABLATIONS["mirror"]


def test_each_step_changes_the_fields_that_the_cascade_names():
    schedule = {"lr", "bn_momentum", "lr_peak", "lr_end"}
    cascade = {
        "whiten": {"whiten", "stem", "epochs"},
        "dirac": {"dirac", "epochs"},
        "scalebias": {"scalebias", "epochs"},
        "freeze": {"freeze"},
        "lookahead": {"lookahead", "epochs", *schedule},
        "tta": {"tta", "epochs"},
        "mirror": {"flip", "epochs"},
        "compile": {"compile"},
    }
    off_the_line = {
        ("freeze", "fastbn"): {"bn_momentum"},
        ("fastbn", "fastbn_lrsched"): {"lr_peak", "lr_end"},
        ("freeze", "lookahead_on_freeze"): {"lookahead", "freeze", "lr", "lr_peak", "lr_end"},
        ("freeze", "tta_on_freeze_13.5"): {"tta"},
        ("freeze", "tta_on_freeze_12"): {"tta", "epochs"},
        ("freeze", "tta_on_freeze_11.5"): {"tta", "epochs"},
        ("freeze", "tta_on_freeze_11"): {"tta", "epochs"},
        ("baseline", "bias_stem"): {"stem", "epochs"},
        ("mirror", "uncompiled"): set(),
    }
    pairs = dict(zip(zip(["baseline", *cascade], cascade, strict=False), cascade.values(), strict=True))
    for (before, after), fields in {**pairs, **off_the_line}.items():
        one, other = asdict(ABLATIONS[before]), asdict(ABLATIONS[after])
        assert {name for name in one if one[name] != other[name]} == fields, after


def test_epochs_and_rates_are_the_authors():
    table = {
        "baseline": (35, 10, 0.9, 0.2, 0),
        "whiten": (21, 10, 0.9, 0.2, 0),
        "dirac": (18, 10, 0.9, 0.2, 0),
        "scalebias": (13.5, 10, 0.9, 0.2, 0),
        "freeze": (13.5, 10, 0.9, 0.2, 0),
        "lookahead": (12, 11.5, 0.6, 0.23, 0.07),
        "tta": (10.8, 11.5, 0.6, 0.23, 0.07),
        "mirror": (9.9, 11.5, 0.6, 0.23, 0.07),
        "compile": (9.9, 11.5, 0.6, 0.23, 0.07),
    }
    for name, expected in table.items():
        c = ABLATIONS[name]
        assert (c.epochs, c.lr, c.bn_momentum, c.lr_peak, c.lr_end) == expected, name


def test_sizes_are_the_papers():
    net = make_net(MIRROR)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(1.97e6, rel=0.005)
    assert MIRROR.pflop(50_000, 10_000) == pytest.approx(0.36, abs=0.005)
    assert ABLATIONS["muon"].pflop(50_000, 10_000) == pytest.approx(0.29, abs=0.01)
    assert MIRROR.total_steps(50_000) == math.ceil(48 * 9.9) == 476


@pytest.mark.parametrize("name", ["baseline", "freeze", "mirror", "muon"])
def test_the_schedule_is_piecewise_linear(name):
    config, total = ABLATIONS[name], ABLATIONS[name].total_steps(50_000)
    peak = int(config.lr_peak * total)
    knots = ([0, peak, total], [config.lr_start, 1, config.lr_end]) if peak else ([0, total], [1, config.lr_end])
    for step in (0, peak // 2, peak, (peak + total) // 2, total - 1):
        assert config.lr_factor(step, total) == pytest.approx(np.interp(step, *knots), abs=1e-9)


def test_rates_are_decoupled_from_momentum_and_weight_decay_from_rates():
    config = ABLATIONS["scalebias"]
    (sgd,) = make_optimizers(make_net(config), config)
    s = 1024 * (1 + 1 / (1 - 0.85))
    # The stem's bias, the norms' biases, the head, the filters.
    assert [group["lr"] for group in sgd.param_groups] == pytest.approx([10 / s, 64 * 10 / s, 10 / s, 10 / s])
    for group in sgd.param_groups:
        assert group["weight_decay"] * group["lr"] == pytest.approx(0.0153 * 1024 / s)
    unscaled = make_optimizers(make_net(ABLATIONS["dirac"]), ABLATIONS["dirac"])[0]
    assert [group["lr"] for group in unscaled.param_groups] == pytest.approx([10 / s] * 4)


def test_all_that_learns_is_in_exactly_one_group():
    for name in ("baseline", "whiten", "mirror", "muon"):
        config = ABLATIONS[name]
        net = make_net(config)
        grouped = [p for o in make_optimizers(net, config) for group in o.param_groups for p in group["params"]]
        learns = [p for p in net.parameters() if p.requires_grad]
        assert sorted(map(id, grouped)) == sorted(map(id, learns)), name


@pytest.mark.data
def test_whitened_patches_have_the_second_moment_of_shrunk_whitening():
    from trainables.data.catalog import locate
    from trainables.data.loading import load

    info = locate("cifar10", str(real_data("cifar10")))
    pixels = load(info, train_size=1.0, val_split=0.0, seed=0)[0].pixels[:5000].double() / 255
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (info.mean, info.std))
    x = (pixels - mean) / std
    net = make_net(MIRROR)
    net.stem.init_whitening(x.float())
    out = F.conv2d(x, net.stem.conv.weight.double())
    assert torch.equal(net.stem.conv.weight[12:], -net.stem.conv.weight[:12])
    first = out[:, :12].transpose(0, 1).flatten(1)
    patches = x.unfold(2, 2, 1).unfold(3, 2, 1).permute(1, 4, 5, 0, 2, 3).reshape(12, -1)
    eigenvalues = np.sort(np.linalg.eigvalsh((patches @ patches.T / patches.shape[1]).numpy()))[::-1]
    expected = np.diag(eigenvalues / (eigenvalues + 5e-4))
    np.testing.assert_allclose((first @ first.T / first.shape[1]).numpy(), expected, atol=1e-4)


def test_grey_images_leave_no_dead_channel():
    net = make_net(MIRROR)
    x = torch.randn(50, 1, 32, 32).expand(-1, 3, -1, -1)
    net.stem.init_whitening(x)
    out = F.conv2d(x, net.stem.conv.weight)
    assert (out.square().mean((0, 2, 3)) > 0.5).all()


def test_dirac_convolutions_pass_their_first_channels_on():
    net = make_net(ABLATIONS["dirac"])
    for group in net.groups:
        for conv in (group.conv1, group.conv2):
            x = torch.randn(2, conv.in_channels, 5, 5)
            torch.testing.assert_close(conv(x)[:, : conv.in_channels], x)
    plain = make_net(ABLATIONS["whiten"]).groups[0].conv2
    assert plain.weight.abs().max() <= 1 / math.sqrt(64 * 9)


def test_muons_head_has_unit_weights():
    assert make_net(ABLATIONS["muon"]).head.weight.std().item() == pytest.approx(1)


class PlainNet(nn.Module):
    """The network as AIRBENCH's facts put it, of the library's layers alone."""

    def __init__(self, norm_stem: bool, momentum: float) -> None:
        super().__init__()

        def norm(channels: int) -> nn.BatchNorm2d:
            return nn.BatchNorm2d(channels, eps=1e-12, momentum=1 - momentum)

        layers: list[nn.Module] = [nn.Conv2d(3, 24, 2, bias=not norm_stem)]
        layers += [norm(24)] * norm_stem + [nn.GELU()]
        channels = 24
        for width in (64, 256, 256):
            layers += [nn.Conv2d(channels, width, 3, padding="same", bias=False), nn.MaxPool2d(2), norm(width)]
            layers += [nn.GELU(), nn.Conv2d(width, width, 3, padding="same", bias=False), norm(width), nn.GELU()]
            channels = width
        self.layers = nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x) / 9


@pytest.mark.parametrize("name", ["baseline", "bias_stem", "mirror"])
def test_network_and_gradients_are_those_of_plain_layers(name):
    config = ABLATIONS[name]
    torch.manual_seed(0)
    net, plain = make_net(config), PlainNet(config.stem == "norm", config.bn_momentum)
    state = dict(zip(plain.state_dict(), net.state_dict().values(), strict=True))
    plain.load_state_dict(state)
    x, labels = torch.randn(130, 3, 32, 32), torch.randint(10, (130,))
    for model in (net, plain):
        F.cross_entropy(model(x), labels, label_smoothing=0.2, reduction="sum").backward()
    assert [p.shape for p in net.parameters()] == [p.shape for p in plain.parameters()]
    for own, reference in zip(net.parameters(), plain.parameters(), strict=True):
        if own.requires_grad:
            distance = (own.grad - reference.grad).norm() / reference.grad.norm()
            assert distance < 1e-3
    net.eval(), plain.eval()
    torch.testing.assert_close(net(x), plain(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [31, 15, 8, 7])
def test_pooled_convolution_equals_the_library_with_gradients(size):
    torch.manual_seed(size)
    x = torch.randn(200, 8, size, size).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(16, 8, 3, 3, requires_grad=True)
    own, library = conv_pool(x, weight), F.max_pool2d(F.conv2d(x, weight, padding=1), 2)
    torch.testing.assert_close(own, library)
    grad = torch.randn_like(own)
    for a, b in zip(*(torch.autograd.grad(y, (x, weight), grad) for y in (own, library)), strict=True):
        assert (a - b).norm() < 1e-5 * b.norm()


def test_the_frozen_stem_equals_the_library_with_the_gradient_of_its_bias():
    torch.manual_seed(0)
    x, weight = torch.randn(200, 3, 32, 32), torch.randn(24, 3, 2, 2)
    bias = torch.randn(24, requires_grad=True)
    own, library = whitened(x, weight, bias, torch.float32), F.conv2d(x, weight, bias)
    torch.testing.assert_close(own, library, rtol=1e-4, atol=1e-5)
    grad = torch.randn_like(own)
    (a,), (b,) = (torch.autograd.grad(y, bias, grad) for y in (own, library))
    assert (a - b).norm() < 1e-4 * b.norm()


def test_lookahead_over_ten_steps_by_hand():
    net = make_net(MIRROR)
    weight, statistics = net.head.weight, net.groups[0].norm1.running_mean
    lookahead = Lookahead(net)
    total = 20
    values = []
    with torch.no_grad():
        for step in range(1, 11):
            weight.fill_(float(step))
            statistics.fill_(-float(step))
            lookahead.after_step(step, total)
            values.append(weight[0, 0].item())
        # The fifth step starts the average at 5, the tenth pulls it towards 10.
        rho = 0.95**5 * (10 / 20) ** 3
        average = rho * 5 + (1 - rho) * 10
        assert values == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8, 9, average])
        assert statistics[0].item() == pytest.approx(-average)
        weight.fill_(0.0)
        lookahead.after_epoch()
        assert weight[0, 0].item() == pytest.approx(average)


def test_nothing_is_set_back_before_the_average_starts():
    net = make_net(MIRROR)
    before = net.head.weight.clone()
    Lookahead(net).after_epoch()
    assert torch.equal(net.head.weight, before)


def test_alternating_flip_over_four_epochs():
    flips = [epoch_flips(1000, "alternating", seed=3, epoch=epoch) for epoch in range(4)]
    assert 400 < flips[0].sum() < 600
    assert torch.equal(flips[1], ~flips[0])
    assert torch.equal(flips[2], flips[0])
    assert torch.equal(flips[3], flips[1])
    other = [epoch_flips(1000, "random", seed=3, epoch=epoch) for epoch in range(4)]
    assert 350 < (other[1] ^ other[0]).sum() < 650
    assert not epoch_flips(10, "none", seed=3, epoch=1).any()


@pytest.mark.parametrize("form", [_by_choice, _gathered])
def test_augmentation_is_numpys_reflected_crop(form):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)
    flips, shifts = epoch_flips(60, "random", seed=1, epoch=2), epoch_shifts(60, 2, seed=1, epoch=2)
    assert shifts.min() == -2
    assert shifts.max() == 2
    out = form(torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last), flips, shifts)
    for i in range(60):
        image = pixels[i][:, :, ::-1] if flips[i] else pixels[i]
        padded = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="reflect")
        row, column = (2 + shifts[i]).tolist()
        np.testing.assert_array_equal(out[i].numpy(), padded[:, row : row + 32, column : column + 32])


def test_the_six_views_and_their_weights():
    x = torch.arange(2 * 3 * 32 * 32, dtype=torch.float32).view(2, 3, 32, 32)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    up_left, down_right = padded[:, :, :-2, :-2], padded[:, :, 2:, 2:]
    expected = [(x.numpy(), 0.25), (x.numpy()[..., ::-1], 0.25)]
    for shifted in (up_left, down_right):
        expected += [(shifted, 0.125), (shifted[..., ::-1], 0.125)]
    found = views(x, "six_views")
    assert len(found) == 6
    for (view, weight), (image, share) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(view.numpy(), image)
        assert weight == share
    assert [weight for _, weight in views(x, "mirror")] == [0.5, 0.5]
    assert [weight for _, weight in views(x, "none")] == [1.0]


def test_orthogonalised_updates_have_singular_values_near_one():
    values = torch.linalg.svdvals(orthogonalised(torch.randn(64, 200), steps=5).float())
    assert values.min() > 0.4
    assert values.max() < 1.4
    tall = orthogonalised(torch.randn(200, 64))
    assert tall.shape == (200, 64)


@pytest.mark.parametrize("shape", [(3, 40, 90), (2, 90, 40)])
def test_matrices_of_one_shape_are_orthogonalised_together_as_each_alone(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    alone = torch.stack([orthogonalised(matrix) for matrix in matrices])
    torch.testing.assert_close(orthogonalised(matrices), alone, rtol=0, atol=0.02)


def test_muon_keeps_the_filters_norm_and_steps_by_its_rate():
    config = ABLATIONS["muon"]
    net = make_net(config)
    _, muon = make_optimizers(net, config)
    filters = net.groups[1].conv2.weight
    for p in muon.param_groups[0]["params"]:
        p.grad = torch.randn_like(p)
    grad, before = filters.grad.clone(), filters.detach().clone()
    muon.step()
    start = before * (16 / before.norm())  # sqrt(256 filters)
    update = orthogonalised((grad + 0.6 * grad).flatten(1)).view_as(grad)
    torch.testing.assert_close(filters.detach(), start - 0.24 * update, rtol=0, atol=1e-3)


def test_muons_stem_stops_learning_when_it_is_frozen():
    config = ABLATIONS["muon"]
    sgd, muon = make_optimizers(make_net(config), config)
    for step, stem, rest in ((0, 1.0, 1.0), (75, 0.0, 125 / 200), (150, 0.0, 50 / 200)):
        set_rates([sgd, muon], config, step, 200)
        assert sgd.param_groups[0]["lr"] == pytest.approx(0.053 * stem)
        assert muon.param_groups[0]["lr"] == pytest.approx(0.24 * rest)


def test_wrong_values_are_named():
    with pytest.raises(ValueError, match=r"epochs=0\.0 must be above 0"):
        AirbenchConfig(epochs=0.0)
    with pytest.raises(ValueError, match=r"momentum=1\.0 must be between 0 and 1"):
        replace(MIRROR, momentum=1.0)
