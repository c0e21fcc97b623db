"""Norm and classifier on features that need no gradient, without forming the normalised features.

With mean m and standard deviation s of the batch (or the running ones), gamma and beta of the norm, W and b of the
linear layer,

    logits = W (gamma (f - m) / s + beta) + b = (W gamma / s) (f - m) + (W beta + b)

so the features are read twice in training and once in evaluation, whereas norm and linear layer one after the other
read and write them several times, forward and backward. The gradients of gamma, beta, W and b are those of the
definition.
"""

import torch
from torch import Tensor, nn


def classify(features: Tensor, norm: nn.BatchNorm2d, linear: nn.Linear) -> Tensor:
    """Logits [B, classes] of features [B, C, h, w].

    In training, batch statistics normalise and update the running ones, which normalise in evaluation.
    """
    B, C = features.shape[:2]
    rows = features.float().permute(1, 2, 3, 0).reshape(C, -1)  # [C, h w B]; no copy where the images lie innermost
    if norm.training:
        mean = rows.mean(1)
        rows = rows - mean[:, None]
        n = rows.shape[1]
        variance = torch.linalg.vector_norm(rows, dim=1).square() / n
        with torch.no_grad():
            norm.num_batches_tracked += 1
            norm.running_mean.lerp_(mean, norm.momentum)
            norm.running_var.lerp_(variance * (n / (n - 1)), norm.momentum)
    else:
        mean, variance = norm.running_mean, norm.running_var
        rows = rows - mean[:, None]
    weight = linear.weight.unflatten(1, (C, -1))
    scaled = weight * (norm.weight * torch.rsqrt(variance + norm.eps))[:, None]
    offset = linear.bias + weight.sum(2) @ norm.bias
    return (scaled.flatten(1) @ rows.view(-1, B)).t() + offset
