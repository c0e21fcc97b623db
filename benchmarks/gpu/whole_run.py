"""A whole scattering run on CIFAR-10, ten epochs of the head and ten of fine-tuning, start-up included.

    python -m benchmarks.gpu.whole_run plain|raysweep CIFAR10

`plain` is the loop that one would write: the definition (tests/reference.py), torchvision's transforms in a DataLoader
of four workers, AdamW and a cosine, validation after each epoch. Each form is a process, timed from outside.
"""

import math
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from tests.reference import PlainNet
from trainables.data.catalog import locate
from trainables.data.loading import load
from trainables.scattering import ScatteringConfig, ScatteringNet, train

EPOCHS, BATCH, LOADERS = 10, 128, 4
CONFIG = ScatteringConfig(dataset="cifar10", n_blocks=3, L=4, kernel_size=5, lr_epochs=EPOCHS, epochs=EPOCHS)


def measure(data_dir: str) -> list[dict[str, Any]]:
    """A row for each form, with the seconds of its process."""
    seconds = {}
    for form in ("plain", "raysweep"):
        started = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.gpu.whole_run", form, data_dir]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds[form] = time.perf_counter() - started
    work = f"CIFAR 3 blocks L=4, {EPOCHS} + {EPOCHS} epochs, with start-up"
    return [
        {"work": work, "form": form, "seconds": [taken], "ratios": [seconds["plain"] / taken]}
        for form, taken in seconds.items()
    ]


class CifarImages(Dataset[tuple[torch.Tensor, int]]):
    """CIFAR-10 as torchvision's own class gives it: an image at a time, as PIL's, through transforms."""

    def __init__(self, pixels: torch.Tensor, labels: torch.Tensor, transform: Any) -> None:
        self.pixels: np.ndarray = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels, self.transform = labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def plain(data_dir: str) -> None:
    """Train both phases by a plain loop."""
    from torchvision import transforms as T

    info = locate("cifar10", data_dir)
    usual = [T.ToTensor(), T.Normalize(info.mean, info.std)]
    crops = T.Compose([T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), *usual])
    parts = load(info, train_size=1.0, val_split=0.0, seed=0)
    sets = [CifarImages(p.pixels, p.labels, t) for p, t in zip(parts, (crops, T.Compose(usual)), strict=True)]
    loaders = [
        DataLoader(s, batch_size=BATCH, shuffle=not i, num_workers=LOADERS, pin_memory=True) for i, s in enumerate(sets)
    ]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    net = PlainNet.of(CONFIG, image_size=32, num_classes=10)
    net.load_state_dict(ScatteringNet(CONFIG, image_size=32, num_classes=10).state_dict())
    net.to(device)
    for phase in ("head", "finetune"):
        net.blocks.requires_grad_(phase == "finetune")
        _phase(net, loaders, device, phase)


def _phase(net: PlainNet, loaders: list[DataLoader[Any]], device: torch.device, phase: str) -> None:
    groups: list[dict[str, Any]] = [
        {"params": [*net.norm.parameters(), *net.classifier.parameters()], "lr": CONFIG.lr_head}
    ]
    if phase == "finetune":
        groups.append({"params": list(net.blocks.parameters()), "lr": CONFIG.lr_extractor})
    optimizer = torch.optim.AdamW(groups, weight_decay=CONFIG.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda e: 0.5 * (1 + math.cos(math.pi * e / EPOCHS)))
    for epoch in range(EPOCHS):
        net.train()
        total = 0.0
        for x, labels in loaders[0]:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x.to(device, non_blocking=True)), labels.to(device, non_blocking=True))
            loss.backward()
            optimizer.step()
            total += loss.item()
        schedule.step()
        net.eval()
        with torch.no_grad():
            right = sum(int((net(x.to(device)).argmax(1).cpu() == labels).sum()) for x, labels in loaders[1])
        print(phase, epoch, total, right, flush=True)


def raysweep(data_dir: str) -> None:
    """Train both phases as `python -m trainables.scattering` does."""
    from dataclasses import replace

    with tempfile.TemporaryDirectory() as folder:
        for report in train(replace(CONFIG, data_dir=data_dir, save_dir=folder)):
            print(report["event"], flush=True)


if __name__ == "__main__":
    {"plain": plain, "raysweep": raysweep}[sys.argv[1]](sys.argv[2])
