import pytest
import torch
import torch.nn.functional as F

from tests.trainables.networks import SHAPES, plain, relative
from trainables.scattering import ScatteringConfig, ScatteringNet, filtering, head


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def with_gradients(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """All gradients of a loss, in one vector."""
    F.cross_entropy(model(x), torch.arange(len(x)) % 7).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_by_matrix_products_are_those_of_the_definition(name, monkeypatch):
    monkeypatch.setattr(filtering, "LARGE_WEIGHTS", 1)
    net = ScatteringNet(ScatteringConfig(**SHAPES[name]), image_size=32, num_classes=7)
    x = images(6, 3, 32, 32)
    assert relative(with_gradients(net, x), with_gradients(plain(net), x)) < 1e-4


@pytest.mark.parametrize("size", [(9, 14), (2, 3)])
def test_matrix_products_take_images_of_any_size(size, monkeypatch):
    monkeypatch.setattr(filtering, "LARGE_WEIGHTS", 1)
    net = ScatteringNet(ScatteringConfig(n_blocks=1, L=4), image_size=32, num_classes=7)
    reference = plain(net)
    x, y = images(2, 3, *size).requires_grad_(), images(2, 3, *size).requires_grad_()
    for model, z in ((net, x), (reference, y)):
        model.features(z).square().sum().backward()
    assert relative(x.grad, y.grad) < 1e-5
    for p, q in zip(net.blocks.parameters(), reference.blocks.parameters(), strict=True):
        assert relative(p.grad, q.grad) < 1e-5


@pytest.mark.parametrize("name", ["phase_relu", "gap", "down_to_one_pixel"])
def test_shared_filters_do_not_depend_on_chunks_or_layout(name, monkeypatch):
    net = ScatteringNet(ScatteringConfig(**SHAPES[name]), image_size=32, num_classes=7)
    x = images(6, 3, 32, 32)
    with torch.no_grad():
        expected = plain(net).features(x)
    net.freeze_extractor()
    monkeypatch.setattr("trainables.scattering.blocks.own_filters", None)  # not needed
    assert relative(net.features(x), expected) < 1e-6
    assert relative(net.features(x.contiguous(memory_format=torch.channels_last)), expected) < 1e-6
    monkeypatch.setattr(filtering, "CHUNK_BYTES", 10_000)
    assert relative(net.features(x), expected) < 1e-6


@pytest.mark.parametrize("name", ["phase_relu", "gap"])
def test_shared_filters_elsewhere_than_on_cpu(name, monkeypatch):
    """The path of other devices, on the CPU's numbers."""

    class Elsewhere(torch.Tensor):
        @property
        def device(self):
            return type("Device", (), {"type": "elsewhere"})()

    net = ScatteringNet(ScatteringConfig(**SHAPES[name]), image_size=32, num_classes=7)
    net.freeze_extractor()
    x = images(4, 3, 32, 32)
    expected = net.blocks[0](x)
    monkeypatch.setattr(filtering, "_compute_dtype", lambda x: x.dtype)
    assert relative(net.blocks[0](x.as_subclass(Elsewhere)).as_subclass(torch.Tensor), expected) < 1e-6


def test_unequal_phase_weights_keep_the_definition_while_frozen():
    net = ScatteringNet(ScatteringConfig(n_blocks=2, L=4, modulus_type="phase_relu"), image_size=32, num_classes=7)
    with torch.no_grad():
        net.blocks[0].collapse[1, 2] = 0.3
    expected = plain(net).features(x := images(2, 3, 32, 32))
    net.freeze_extractor()
    assert relative(net.features(x), expected) < 1e-6
    with torch.no_grad():
        net.blocks[1].collapse.mul_(2)  # after freezing
    assert relative(net.features(x), plain(net).features(x)) < 1e-6


def test_zero_images_have_finite_gradients():
    net = ScatteringNet(ScatteringConfig(n_blocks=2, L=4), image_size=32, num_classes=7)
    assert with_gradients(net, torch.zeros(7, 3, 32, 32)).isfinite().all()


@pytest.mark.parametrize("frozen", [False, True])
def test_bfloat16_is_the_same_network_to_three_digits(frozen):
    net = ScatteringNet(ScatteringConfig(n_blocks=3, L=4, kernel_size=5), image_size=32, num_classes=7)
    x = images(7, 3, 32, 32)
    expected = plain(net).features(x)
    if frozen:
        net.freeze_extractor()
    with torch.autocast("cpu", torch.bfloat16):
        found = net.features(x)
    assert found.dtype == torch.bfloat16
    assert relative(found.float(), expected) < 1e-2
    if not frozen:
        exact = with_gradients(plain(net), x)
        with torch.autocast("cpu", torch.bfloat16):
            assert relative(with_gradients(net, x), exact) < 0.1


@pytest.mark.parametrize("shape", [(8, 5, 4, 4), (8, 5, 1, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_the_folded_head_is_norm_then_linear(shape, training):
    torch.manual_seed(0)
    C, pixels = shape[1], shape[2] * shape[3]
    heads = [(torch.nn.BatchNorm2d(C), torch.nn.Linear(C * pixels, 3)) for _ in range(2)]
    for module in (0, 1):
        heads[1][module].load_state_dict(heads[0][module].state_dict())
    for norm, _ in heads:
        with torch.no_grad():
            norm.weight.copy_(torch.linspace(0.5, 2, C))
            norm.bias.copy_(torch.linspace(-1, 1, C))
            norm.running_mean.fill_(0.1)
            norm.running_var.fill_(1.5)
        norm.train(training)
    features = 3 + 2 * torch.randn(shape)
    folded = head.classify(features, *heads[0])
    norm, linear = heads[1]
    expected = linear(norm(features).flatten(1))
    assert relative(folded, expected) < 1e-5
    for logits in (folded, expected):
        F.cross_entropy(logits, torch.arange(8) % 3).backward()
    for mine, other in zip(heads[0], heads[1], strict=True):
        for (name, p), q in zip(mine.named_parameters(), other.parameters(), strict=True):
            assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-6), name
        for p, q in zip(mine.buffers(), other.buffers(), strict=True):
            assert torch.allclose(p, q, rtol=1e-5)
