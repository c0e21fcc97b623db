import contextlib
import copy
import weakref

import pytest
import torch
import torch.nn.functional as F

from tests.conftest import real_data
from tests.trainables.networks import plain, relative
from tests.trainables.training import SMALL, results
from trainables.control import RunControl
from trainables.data.batches import Batches
from trainables.data.catalog import locate
from trainables.data.loading import load
from trainables.distributed import Workers
from trainables.scattering import ScatteringConfig, ScatteringNet
from trainables.scattering.evaluation import Validation
from trainables.scattering.step import Step, micro_batches

ALONE = Workers(rank=0, world_size=1, device=torch.device("cpu"))


def batches(config: ScatteringConfig):
    """Global batches of the training images, epoch after epoch."""
    info = locate(config.dataset, config.data_dir)
    images, _ = load(info, train_size=config.train_size, val_split=0.0, seed=config.seed)
    source = Batches(info, images, global_batch_size=config.global_batch_size, workers=ALONE, augment=True, seed=0)
    for epoch in range(1, 1000):
        yield from source.training("joint", epoch)


def adamw(model: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)


def losses_of_both_forms(config: ScatteringConfig, steps: int) -> tuple[list[float], list[float]]:
    """Mean loss of each step, by `Step` and by the definition, from the same weights and on the same batches."""
    info = locate(config.dataset, config.data_dir)
    net = ScatteringNet(config, image_size=info.image_size, num_classes=info.num_classes)
    reference = plain(net)
    step, optimizer = Step(net, adamw(net), config, ALONE), adamw(reference)
    ours, theirs = [], []
    for _, (x, labels, size) in zip(range(steps), batches(config), strict=False):
        ours.append(step(x, labels, size).item() / size)
        loss = F.cross_entropy(reference(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        theirs.append(loss.item())
    return ours, theirs


def test_a_hundred_steps_stay_with_the_definition():
    config = ScatteringConfig(n_blocks=2, L=4, kernel_size=5, global_batch_size=32)
    ours, theirs = losses_of_both_forms(config, 100)
    assert ours == pytest.approx(theirs, rel=0.01)
    assert ours[-1] < 0.7 * ours[0]


@pytest.mark.slow
@pytest.mark.data
def test_a_hundred_steps_on_cifar_stay_with_the_definition():
    config = ScatteringConfig(dataset="cifar10", data_dir=str(real_data("cifar10")), n_blocks=3, L=4, kernel_size=5)
    ours, theirs = losses_of_both_forms(config, 100)
    assert ours == pytest.approx(theirs, rel=0.01)


@pytest.mark.parametrize(
    ("batch", "workers", "micro", "parts"),
    [(128, 1, None, 1), (128, 1, 32, 4), (128, 2, 32, 2), (100, 1, 32, 4), (3, 1, 2, 1), (17, 2, 8, 2), (5, 2, 2, 1)],
)
def test_every_worker_cuts_its_share_into_as_many_parts_of_two_images_or_more(batch, workers, micro, parts):
    assert micro_batches(batch, workers, micro) == parts
    shares = [len(share) for share in torch.arange(batch).tensor_split(workers)]
    sizes = [len(part) for share in shares for part in torch.arange(share).tensor_split(parts)]
    assert min(sizes) >= 2
    assert micro is None or max(sizes) <= micro + 1


def test_micro_batches_sum_to_the_gradient_of_the_batch():
    config = ScatteringConfig(n_blocks=2, L=4, kernel_size=5, global_batch_size=48, micro_batch=16)
    net = ScatteringNet(config, image_size=32, num_classes=10)
    reference = plain(copy.deepcopy(net))
    x, labels, size = next(batches(config))
    Step(net, torch.optim.SGD(net.parameters(), lr=0.0), config, ALONE)(x, labels, size)
    for part, targets in zip(x.split(16), labels.split(16), strict=True):
        (F.cross_entropy(reference(part), targets) / 3).backward()
    gradients = [torch.cat([p.grad.flatten() for p in model.parameters()]) for model in (net, reference)]
    assert relative(*gradients) < 1e-4


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_as_float32_does(precision):
    def losses(precision: str) -> list[float]:
        config = ScatteringConfig(n_blocks=2, L=4, kernel_size=5, global_batch_size=32, precision=precision)
        net = ScatteringNet(config, image_size=32, num_classes=10)
        step = Step(net, adamw(net), config, ALONE)
        return [step(x, y, size).item() / size for _, (x, y, size) in zip(range(60), batches(config), strict=False)]

    exact, found = losses("float32"), losses(precision)
    assert found[0] == pytest.approx(exact[0], rel=0.01)
    # float16 leaves out the first steps, until the scale of its gradients has settled.
    assert sum(found[-20:]) == pytest.approx(sum(exact[-20:]), rel=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the compiler looks at the gradients of intermediate tensors
def test_a_compiled_network_learns_the_same(tmp_path):
    exact = results(ScatteringConfig(**SMALL, lr_epochs=1, epochs=2, save_dir=str(tmp_path / "eager")))
    found = results(ScatteringConfig(**SMALL, lr_epochs=1, epochs=2, compile=True, save_dir=str(tmp_path / "compiled")))
    for row, other in zip(found["curves"]["phase_b"], exact["curves"]["phase_b"], strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)


def test_cached_features_give_the_numbers_of_computed_ones(tmp_path):
    def run(name: str, **changes) -> dict:
        return results(ScatteringConfig(**SMALL, lr_epochs=3, epochs=0, save_dir=str(tmp_path / name), **changes))

    cached, computed, half = run("a"), run("b", feature_cache_gb=0.0), run("c", half_cache=True)
    assert cached["curves"] == computed["curves"]
    assert cached["results"]["validation_features"] == "cached (7 MB)"
    assert "exceed feature_cache_gb=0" in computed["results"]["validation_features"]
    assert "half precision" in half["results"]["validation_features"]
    for row, other in zip(half["curves"]["phase_a"], cached["curves"]["phase_a"], strict=True):
        assert row["train_loss"] == other["train_loss"]
        assert row["val_loss"] == pytest.approx(other["val_loss"], rel=1e-3)


def test_cached_features_are_given_back_once_the_extractor_learns(tmp_path):
    config = ScatteringConfig(**SMALL)
    info = locate("digits", None)
    _, images = load(info, train_size=1.0, val_split=0.0, seed=0)
    assert len(images) == info.n_test
    source = Batches(info, images, global_batch_size=64, workers=ALONE, augment=False, seed=0)
    net = ScatteringNet(config, image_size=32, num_classes=10)
    net.freeze_extractor()
    with contextlib.closing(RunControl(tmp_path, ALONE, checkpoint_minutes=10)) as control:
        validation = Validation(net, source, config, ALONE, control)
        cached = validation(frozen=True)
        features = weakref.ref(validation._features[0][0])
        net.unfreeze_extractor()
        assert validation(frozen=False)["val_loss"] == pytest.approx(cached["val_loss"], rel=1e-5)
    assert features() is None
