"""Measures the accuracy on the test images, whose outputs are averaged over views of each image."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.distributed import Workers

TEST_BATCH = 2000
"""Test images that are evaluated at a time."""


class Evaluation(NamedTuple):
    """What a network makes of the test images."""

    accuracy: float
    """Percent of the images of all workers that are classified right by the average over their views."""
    single_view: float
    """The same by the images alone."""
    classes: Tensor
    """The class of each of this worker's images by the average over its views, int64 [n] on its device."""


def views(x: Tensor, tta: str) -> list[tuple[Tensor, float]]:
    """Views of images [B, 3, H, W] and their weights, which sum to 1; the first is the image itself.

    "mirror" means the image and its mirror image; "six_views" these two with weight 1/4 each, and both of them shifted
    by one pixel up-left and down-right, borders reflected, with weight 1/8 each.
    """
    if tta == "none":
        return [(x, 1.0)]
    if tta == "mirror":
        return [(x, 0.5), (x.flip(3), 0.5)]
    H, W = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    shifted = (padded[:, :, :H, :W], padded[:, :, 2:, 2:])
    return [(x, 0.25), (x.flip(3), 0.25), *((view, 0.125) for s in shifted for view in (s, s.flip(3)))]


@torch.no_grad()
def accuracy(net: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], tta: str, workers: Workers) -> Evaluation:
    """Classify images by the average over the views of `tta`, and by the image alone.

    `batches` yields this worker's normalised images [B, 3, H, W] and labels [B]; the percentages are over all workers.
    The network is left in evaluation mode.
    """
    net.eval()
    # These numbers are read at the end, to wait for the device once.
    correct = torch.zeros(2, dtype=torch.int64, device=workers.device)
    count, classes = 0, []
    for x, labels in batches:
        logits = [(net(view), weight) for view, weight in views(x, tta)]
        averaged = sum(weight * part for part, weight in logits)
        found = [scores.argmax(1) for scores in (averaged, logits[0][0])]
        correct += torch.stack([(of_images == labels).sum() for of_images in found])
        classes.append(found[0])
        count += len(labels)
    with_views, alone, of_all = workers.sum(*correct.tolist(), count)
    return Evaluation(100 * with_views / of_all, 100 * alone / of_all, torch.cat(classes))
