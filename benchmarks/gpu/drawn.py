"""Images of CIFAR-10's size, drawn at random, where the real ones are not at hand: speed does not depend on them."""

import pickle
from pathlib import Path

import numpy as np

FILES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
PER_FILE = 10_000


def drawn_cifar10(folder: Path) -> Path:
    """Writes drawn images in CIFAR-10's own files below a folder, and returns it. Classes differ in their mean colour,
    so that training has something to learn."""
    target = folder / "cifar-10-batches-py"
    target.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    colours = rng.integers(64, 192, (10, 3, 1))
    for name in FILES:
        labels = rng.integers(0, 10, PER_FILE)
        noise = rng.integers(-64, 64, (PER_FILE, 3, 1024))
        data = (colours[labels] + noise).astype(np.uint8).reshape(PER_FILE, 3072)
        names = [f"drawn_{name}_{i:05}.png" for i in range(PER_FILE)]
        content = {"data": data, "labels": labels.tolist(), "filenames": names, "batch_label": name}
        with (target / name).open("wb") as stream:
            pickle.dump(content, stream)
    return folder
