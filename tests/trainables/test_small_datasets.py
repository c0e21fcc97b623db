"""The embedded digits against scikit-learn and scipy."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from sklearn.datasets import load_digits

from trainables.data.catalog import locate
from trainables.data.loading import TensorImages, load


def test_digits_are_scikit_learns():
    info = locate("digits", None)
    train, test = load(info, train_size=1.0, val_split=0.0, seed=42)
    assert isinstance(train, TensorImages)
    assert isinstance(test, TensorImages)
    assert (len(train), len(test)) == (info.n_train, 359)
    source = load_digits()
    np.testing.assert_array_equal(test.labels, source.target[4::5])
    # Linear interpolation by scipy, with the pixels' centres in place and the border repeated.
    at = (np.arange(32) + 0.5) / 4 - 0.5
    for image, expected in zip(test.pixels[:5], source.images[4::5], strict=False):
        large = map_coordinates(expected, np.meshgrid(at, at, indexing="ij"), order=1, mode="nearest")
        for channel in image:
            np.testing.assert_allclose(channel, large * 255 / 16, atol=0.5001)
    pixels = train.pixels.float() / 255
    assert pixels.mean().item() == pytest.approx(info.mean[0], abs=1e-3)
    assert pixels.std().item() == pytest.approx(info.std[0], abs=1e-3)
