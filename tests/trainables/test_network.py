import copy

import numpy as np
import pytest
import torch

from tests.conftest import DATA
from tests.trainables.networks import SHAPES, plain, relative
from trainables.scattering import ScatteringConfig, ScatteringNet
from trainables.scattering.blocks import own_channel

GOLDEN = {
    "3b_cmod_L4_k5": {"n_blocks": 3, "L": 4, "kernel_size": 5},
    "3b_prelu_L4_k7": {"n_blocks": 3, "L": 4, "kernel_size": 7, "modulus_type": "phase_relu"},
    "4b_cmod_L4_h27_lp_k7": {"n_blocks": 4, "L": 4, "mixing_horizon": 27, "lowpass_last": True},
}


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("frozen", [False, True])
def test_every_block_equals_the_original(name, frozen):
    golden = np.load(DATA / f"{name}.npz")
    net = ScatteringNet(ScatteringConfig(**GOLDEN[name]), image_size=32, num_classes=10)
    if frozen:
        net.freeze_extractor()
    x = torch.from_numpy(golden["x"])
    for i, block in enumerate(net.blocks):
        x = block(x)
        assert relative(x, torch.from_numpy(golden[f"block{i}"])) < 1e-6
    counts = net.parameter_counts()
    assert counts["n_params_extractor"] == golden["n_extractor"]
    assert counts["n_params_classifier"] == golden["n_classifier"]
    assert [row["mixing_horizon"] for row in net.block_summary()] == golden["horizons"].tolist()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("random_init", [False, True])
def test_outputs_and_gradients_equal_the_definition(name, random_init):
    config = ScatteringConfig(**SHAPES[name], random_init=random_init)
    net = ScatteringNet(config, image_size=32, num_classes=7)
    reference = plain(net)
    # Random images at the initial 2x2 kernel would leave its gradient's taps alike.
    with torch.no_grad():
        for block, other in zip(net.blocks, reference.blocks, strict=True):
            block.pool.copy_(torch.tensor([[0.1, 0.2], [0.3, 0.4]]))
            other.pool.copy_(block.pool)
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3])
    exact = copy.deepcopy(reference).double()
    for model, images in ((net, x), (reference, x), (exact, x.double())):
        torch.nn.functional.cross_entropy(model(images), labels).backward()
    with torch.no_grad():
        assert relative(net.features(x), reference.features(x)) < 2e-6
    gradients = [torch.cat([p.grad.flatten() for p in model.parameters()]) for model in (net, reference)]
    assert relative(*gradients) < 1e-4
    for (name, p), (_, q), (_, r) in zip(
        net.named_parameters(), reference.named_parameters(), exact.named_parameters(), strict=True
    ):
        if not torch.allclose(p.grad, q.grad, atol=1e-7):  # gradients that vanish, such as unused taps
            # Some are small differences of large sums, and float32 leaves the definition itself 1e-4 from the truth.
            assert relative(p.grad, r.grad) < max(1e-4, 3 * relative(q.grad, r.grad)), name


@pytest.mark.parametrize("size", [(32, 32), (20, 28), (7, 9), (3, 2)])
def test_blocks_take_images_of_any_size(size):
    net = ScatteringNet(ScatteringConfig(n_blocks=1, L=4), image_size=32, num_classes=2)
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    expected = plain(net).blocks[0](x)
    assert expected.shape[-2:] == (size[0] // 2, size[1] // 2)
    assert relative(net.blocks[0](x), expected) < 1e-5
    net.freeze_extractor()
    assert relative(net.blocks[0](x), expected) < 1e-5


def test_a_frozen_extractor_follows_changed_weights():
    net = ScatteringNet(ScatteringConfig(n_blocks=2, L=4, kernel_size=5), image_size=32, num_classes=10)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    net.freeze_extractor()
    before = net.features(x)
    with torch.no_grad():
        net.blocks[1].psi_real.add_(0.01)
    changed = plain(net)
    assert relative(net.features(x), changed.blocks[1](changed.blocks[0](x))) < 1e-5
    assert relative(net.features(x), before) > 1e-3


def test_random_init_is_that_of_a_convolution_and_leaves_the_small_kernel():
    net = ScatteringNet(ScatteringConfig(n_blocks=3, L=4, random_init=True), image_size=32, num_classes=10)
    for block in net.blocks:
        bound = 1 / np.sqrt(block.shape.mixing_horizon * 49)  # kaiming_uniform(a = sqrt 5)
        for weight in (block.phi, block.psi_real, block.psi_imag):
            assert weight.abs().max() <= bound
            assert weight.std().item() == pytest.approx(bound / np.sqrt(3), rel=0.1)
        assert (block.pool == 0.25).all()


def test_same_seed_same_weights_other_seed_other_weights():
    def weights(seed):
        config = ScatteringConfig(n_blocks=2, L=4, random_init=True, seed=seed)
        return ScatteringNet(config, image_size=32, num_classes=10).state_dict()

    state = torch.get_rng_state()
    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["blocks.0.phi"], other["blocks.0.phi"])
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
    assert torch.equal(torch.get_rng_state(), state)


def test_filters_touch_their_own_channel_only():
    net = ScatteringNet(ScatteringConfig(n_blocks=2, L=4, mixing_horizon=5), image_size=32, num_classes=10)
    block = net.blocks[1]
    weight = block.psi_real.detach()
    for o in range(0, len(weight), 7):
        channel, group_size = o // 4, block.shape.mixing_horizon
        used = [c for c in range(group_size) if weight[o, c].any()]
        assert used == [channel % group_size]
    view = own_channel(weight, block.shape)
    assert view.data_ptr() == weight.data_ptr()
    assert view.shape == (3, 5, 4, 7, 7)


def test_too_many_blocks_for_the_image():
    with pytest.raises(ValueError, match=r"n_blocks=6 is too many for images of 32 pixels.*the most is 5"):
        ScatteringNet(ScatteringConfig(n_blocks=6, L=2), image_size=32, num_classes=10)


@pytest.mark.parametrize("gpu_sized", [{"n_blocks": 5, "L": 8, "mixing_horizon": 27, "lowpass_last": True}])
def test_large_networks_are_described_without_being_allocated(gpu_sized):
    config = ScatteringConfig(**gpu_sized, dataset="imagenet")
    with torch.device("meta"):
        net = ScatteringNet(config, image_size=224, num_classes=1000)
    assert net.classifier.weight.is_meta
    counts = net.parameter_counts()
    assert counts["n_params_extractor"] == config.n_params_extractor()
    assert counts["n_params_classifier"] == config.n_params_classifier(224, 1000)
