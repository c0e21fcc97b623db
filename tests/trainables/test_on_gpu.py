"""What a GPU computes, against the same on the CPU and against steps that are launched one by one.

They need torch >= 2.11 and neither Ray nor data: `python -m pytest -m gpu` from the checkout.
"""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tests.trainables.training import SMALL, results
from trainables.airbench import ABLATIONS, chains, make_net
from trainables.airbench import train as train_airbench
from trainables.airbench.augmentation import augmented, epoch_flips, epoch_shifts
from trainables.airbench.steps import SingleSteps
from trainables.airbench.warm_setup import WarmSetup
from trainables.data import batches
from trainables.data.catalog import locate
from trainables.data.file_source import FileSource
from trainables.data.gpu_file_source import GpuFileSource
from trainables.data.loading import FileImages, load
from trainables.distributed import Workers
from trainables.graphs import Replayable, capture_stream
from trainables.scattering import ScatteringConfig, ScatteringNet, own_kernels
from trainables.scattering.phases import begin_phase

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")]

GPU = torch.device("cuda", 0)
ON_GPU = Workers(rank=0, world_size=1, device=GPU)
STEPS = 100


@pytest.fixture
def deterministic():
    """Kernels that give the same bits each time."""
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    yield
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


@pytest.fixture
def exact():
    """Products and convolutions of float32 in float32."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def after_steps(config, phase, *, captured):
    """The state after 100 steps, some of them of a smaller batch, and how they were launched."""
    net = ScatteringNet(config, image_size=32, num_classes=10).to(GPU)
    step = begin_phase(net, config, ON_GPU, phase)
    if not captured:
        step.captured = None
    net.train()
    generator = torch.Generator().manual_seed(1)
    for i in range(STEPS):
        size = 10 if i % 10 == 9 else 32
        x = torch.randn(size, 3, 32, 32, generator=generator).to(GPU)
        step(x, torch.randint(10, (size,), generator=generator).to(GPU), size)
    return net.state_dict(), step.captured.launched if captured else ""


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("phase", ["head", "finetune"])
@pytest.mark.usefixtures("deterministic")
def test_captured_scattering_steps_have_the_bits_of_steps_one_by_one(phase, precision):
    config = ScatteringConfig(**SMALL, global_batch_size=32, precision=precision, l2_penalty=0.1)
    state, launched = after_steps(config, phase, captured=True)
    assert launched == "as graphs"
    expected, _ = after_steps(config, phase, captured=False)
    for name, value in expected.items():
        assert torch.equal(state[name], value), name


@pytest.mark.parametrize("phase", ["head", "finetune"])
@pytest.mark.usefixtures("exact")
def test_a_gpu_has_the_gradients_of_the_cpu(phase):
    config = ScatteringConfig(**SMALL, global_batch_size=16)
    gradients = []
    x, labels = torch.randn(16, 3, 32, 32), torch.randint(10, (16,))
    for device in (torch.device("cpu"), GPU):
        net = ScatteringNet(config, image_size=32, num_classes=10).to(device)
        begin_phase(net, config, Workers(rank=0, world_size=1, device=device), phase)
        torch.nn.functional.cross_entropy(net(x.to(device)), labels.to(device)).backward()
        gradients.append({name: p.grad.cpu() for name, p in net.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, expected in gradients[0].items():
        assert (gradients[1][name] - expected).norm() <= 1e-4 * expected.norm() + 1e-7, name


@pytest.mark.parametrize("flip", [False, True])
def test_small_images_on_the_gpu_are_those_of_the_cpu_bit_by_bit(flip):
    info = replace(locate("digits", None), flip=flip)
    images = load(info, train_size=1.0, val_split=0.0, seed=0)[0]
    images = replace(images, pixels=torch.randint(0, 256, images.pixels.shape, dtype=torch.uint8))
    found = []
    for workers in (Workers(rank=0, world_size=1, device=torch.device("cpu")), ON_GPU):
        source = batches.Batches(info, images, global_batch_size=64, workers=workers, augment=True, seed=7)
        found.append([(x.cpu(), labels.cpu()) for x, labels, _ in source.training("head", 2)])
    for (x, labels), (expected, their_labels) in zip(*reversed(found), strict=True):
        assert torch.equal(x, expected)
        assert torch.equal(labels, their_labels)


def test_airbench_augments_on_the_gpu_as_on_the_cpu():
    pixels = torch.randint(0, 256, (500, 3, 32, 32), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    flips, shifts = epoch_flips(500, "random", seed=1, epoch=2), epoch_shifts(500, 2, seed=1, epoch=2)
    found = augmented(pixels.to(GPU), flips, shifts)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found.cpu(), augmented(pixels, flips, shifts))


@pytest.mark.parametrize("name", ["mirror", "muon", "baseline", "bias_stem"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.usefixtures("deterministic", "exact")
def test_airbench_computes_by_its_own_kernels_as_by_the_library(name, precision, monkeypatch, capsys):
    torch.manual_seed(0)
    net = make_net(ABLATIONS[name], dtype=getattr(torch, precision)).to(GPU).train()
    x = torch.randn(64, 3, 32, 32).to(memory_format=torch.channels_last).to(GPU, net.dtype)
    labels, found = torch.arange(64, device=GPU) % 10, []
    for refusal in ("", "not here"):
        monkeypatch.setattr(chains.kernels, "refusal", refusal)
        own = deepcopy(net)
        torch.nn.functional.cross_entropy(own(x), labels).backward()
        of_weights = {f"of {k}": p.grad for k, p in own.named_parameters() if p.grad is not None}
        found.append({**of_weights, **dict(own.named_buffers())})
    assert "PyTorch's own" not in capsys.readouterr().err
    assert found[0].keys() == found[1].keys()
    # Where two values of a window are nearly the same, rounding decides which of them gets the gradient: with half
    # precision, gradients of the library itself with and without one rounding of a norm are 0.04 to 0.33 apart.
    gradients, statistics = {"float32": (1e-2, 1e-4), "bfloat16": (0.6, 2e-2), "float16": (0.25, 3e-3)}[precision]
    for key, expected in found[1].items():
        limit = gradients if key.startswith("of ") else statistics
        assert (found[0][key] - expected).float().norm() <= limit * expected.float().norm(), key


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize(("C", "size"), [(24, 31), (64, 31), (256, 15), (256, 7)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_pooling_norm_and_gelu_are_one_chain_on_the_gpu(precision, C, size, side):
    dtype = getattr(torch, precision)
    x = torch.randn(37, C, size, size, device=GPU).to(dtype).contiguous(memory_format=torch.channels_last)
    bias, found = torch.randn(C, device=GPU), []
    for is_own in (True, False):
        norm = torch.nn.BatchNorm2d(C, eps=1e-12, momentum=0.4, device=GPU)
        maps, shift = x.clone().requires_grad_(), bias.clone().requires_grad_()
        if is_own:
            y = chains.norm_gelu(maps, norm, shift, side)
        else:  # the definition in float64, of the same values
            norm, pooled = norm.double(), torch.nn.functional.max_pool2d(maps.double(), side)
            y = torch.nn.functional.gelu(norm(pooled) + shift[:, None, None])
        y.backward(torch.arange(y.numel(), device=GPU).view(y.shape).remainder(17).to(y.dtype) / 8 - 1)
        found.append((y, maps.grad, shift.grad, norm.running_mean, norm.running_var))
    for (own, expected), of_maps in zip(zip(*found, strict=True), (True, True, False, False, False), strict=True):
        tolerance = {"float32": 1e-5, "bfloat16": 2**-7, "float16": 2**-10}[precision if of_maps else "float32"]
        assert (own - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("name", ["mirror", "muon", "baseline", "compile"])
def test_captured_airbench_steps_learn_as_steps_one_by_one(name):
    config = replace(ABLATIONS[name], batch_size=128, epochs=2.5, freeze_epochs=1.0, lookahead_epochs=1.0)
    setup = WarmSetup(replace(config, seed=0), locate("digits", None), ON_GPU)
    assert setup.launched == "as graphs"
    n, total = len(setup.images), config.total_steps(len(setup.images))
    losses = []
    for captured in (True, False):
        setup.fresh_net(config)
        steps = setup.steps(config) if captured else SingleSteps(setup.images, setup._step(config))
        of_epochs = []
        for epoch in range(2):
            steps.begin_epoch(setup.images.pixels, torch.arange(n, device=GPU))
            first = epoch * (n // 128)
            for number in range(first, min(first + n // 128, total)):
                steps.take(number - first, number, stem_learns=epoch < 1 or not config.freeze)
            of_epochs.append(steps.loss())
        losses.append(of_epochs)
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


@pytest.mark.usefixtures("deterministic")
def test_captured_chains_have_the_bits_of_those_launched_one_by_one():
    x = torch.randn(64, 24, 31, 31, device=GPU, dtype=torch.float16).contiguous(memory_format=torch.channels_last)
    net = make_net(ABLATIONS["mirror"], dtype=torch.float16).to(GPU).train()
    maps, group = x.requires_grad_(), net.groups[0]
    learns = [maps, *(p for p in group.parameters() if p.requires_grad)]
    outputs = [torch.empty_like(tensor) for tensor in learns]

    def work():
        for output, grad in zip(outputs, torch.autograd.grad(group(maps).float().square().sum(), learns), strict=True):
            output.copy_(grad)

    replayed = Replayable(work, GPU)
    with capture_stream(GPU):
        work()
    expected = [output.clone() for output in outputs]
    assert replayed.capture(), replayed.refusal
    for output in outputs:
        output.zero_()
    replayed()
    for output, own in zip(outputs, expected, strict=True):
        assert torch.equal(output, own)


def test_seeds_one_after_the_other_in_one_process_start_afresh(tmp_path):
    config = replace(ABLATIONS["mirror"], batch_size=128, epochs=2.0)
    accuracies = {}
    for seed, folder in ((0, "a"), (1, "b"), (0, "c")):
        *_, last = train_airbench(replace(config, seed=seed, save_dir=str(tmp_path / folder)))
        assert last["results"]["launched"] == "as graphs"
        accuracies[folder] = last["results"]["final_acc"], last["curves"]["train"][0]["train_loss"]
    assert accuracies["a"] == pytest.approx(accuracies["c"], rel=0.02)
    assert accuracies["a"] != accuracies["b"]


def test_a_network_that_was_trained_on_a_gpu_is_loaded_on_a_cpu(tmp_path):
    config = ScatteringConfig(**SMALL, lr_epochs=2, epochs=2, save_dir=str(tmp_path))
    last = results(config)
    assert last["results"]["finetune_launched"] == "as graphs"
    net = ScatteringNet.load(tmp_path)
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("modulus", ["complex_modulus", "phase_relu"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.usefixtures("exact")
def test_frozen_wavelets_are_filtered_by_the_kernel_as_by_the_library(modulus, precision, monkeypatch, capsys):
    config = ScatteringConfig(**{**SMALL, "n_blocks": 3}, modulus_type=modulus)
    net = ScatteringNet(config, image_size=32, num_classes=10).to(GPU)
    net.freeze_extractor()
    x = torch.randn(16, 3, 32, 32, device=GPU)
    found = []
    for refusal in ("", "not here"):
        monkeypatch.setattr(own_kernels.wavelets, "refusal", refusal)
        with torch.no_grad(), torch.autocast("cuda", getattr(torch, precision), enabled=precision != "float32"):
            found.append(net.features(x).float())
    assert "PyTorch's convolutions" not in capsys.readouterr().err
    tolerance = {"float32": 1e-5, "bfloat16": 3e-2, "float16": 4e-3}[precision]
    assert (found[0] - found[1]).abs().max() <= tolerance * found[1].abs().max()


@pytest.mark.parametrize("key", [None, (7, "head", 1)])
def test_files_are_decoded_on_the_gpu_as_on_the_cpu(key, tmp_path):
    pytest.importorskip("simplejpeg", reason="simplejpeg is not installed")
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not installed")
    paths = []
    for i, subsampling in enumerate((0, 1, 2) * 4):
        small = torch.randint(0, 256, (9, 12, 3), generator=torch.Generator().manual_seed(i), dtype=torch.uint8)
        image = Image.fromarray(small.numpy()).resize((300 + 9 * i, 260), Image.Resampling.BICUBIC)
        paths.append(str(tmp_path / f"{i}.JPEG"))
        image.save(paths[-1], quality=90, subsampling=subsampling)
    images = FileImages(paths, torch.arange(len(paths)))
    found = []
    for kind, device in ((GpuFileSource, GPU), (FileSource, torch.device("cpu"))):
        source = kind(images, image_size=224, num_loaders=2, device=device)
        pixels, labels, flips = zip(*source.read(list(torch.arange(len(paths)).split(5)), key), strict=True)
        found.append((torch.cat(pixels).cpu().int(), torch.cat(labels), flips))
    assert all(torch.equal(*pair) for pair in zip(*(flips for *_, flips in found), strict=True) if key)
    of_images = (found[0][0] - found[1][0]).abs().flatten(1).float().mean(1)
    assert of_images.max() < (0.5 if key is None else 2)


@pytest.mark.parametrize("modulus", ["complex_modulus", "phase_relu"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.usefixtures("exact")
def test_learning_blocks_have_the_gradients_of_the_plain_modulus(modulus, precision, monkeypatch, capsys):
    config = ScatteringConfig(**{**SMALL, "n_blocks": 3}, modulus_type=modulus)
    net = ScatteringNet(config, image_size=32, num_classes=10).to(GPU)
    x = torch.randn(16, 3, 32, 32, device=GPU)
    found = []
    for refusal in ("", "not here"):
        monkeypatch.setattr(own_kernels.moduli, "refusal", refusal)
        with torch.autocast("cuda", getattr(torch, precision), enabled=precision != "float32"):
            loss = net.features(x).float().square().mean()
        found.append(torch.autograd.grad(loss, list(net.extractor_parameters())))
    assert "PyTorch's own operations" not in capsys.readouterr().err
    tolerance = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}[precision]
    for own, plain in zip(*found, strict=True):
        assert (own - plain).abs().max() <= tolerance * plain.abs().max()
