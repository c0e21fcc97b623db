"""Measures loss and accuracy on the validation images, whose features are kept while the extractor is frozen."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.control import RunControl
from trainables.data.batches import Batches
from trainables.distributed import Workers
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.network import ScatteringNet
from trainables.scattering.step import autocast


class Validation:
    """Measures a network on all images of `batches`, each of which is counted once over all workers."""

    def __init__(
        self, net: ScatteringNet, batches: Batches, config: ScatteringConfig, workers: Workers, control: RunControl
    ) -> None:
        self.net, self.batches, self.config, self.workers, self.control = net, batches, config, workers, control
        self._features: list[tuple[Tensor, Tensor]] | None = None
        self._classes: list[Tensor] = []

    def cache_bytes(self) -> int:
        """Bytes of the features of this worker's images in the cache's precision."""
        own = -(-len(self.batches.images) // self.workers.world_size)
        return self.config.feature_cache_bytes(self.net.image_size, own)

    def fits_cache(self) -> bool:
        """Whether the features fit into `feature_cache_gb`."""
        return self.cache_bytes() <= self.config.feature_cache_gb * 2**30

    def features_come_from(self) -> str:
        """How the head phase comes by the features of the validation images, for the results."""
        size = f"{self.cache_bytes() / 2**20:.0f} MB"
        if "head" not in self.config.phases:
            return "computed"
        if self.fits_cache():
            return f"cached ({size}{' in half precision' if self.config.half_cache else ''})"
        return f"computed in every epoch ({size} exceed feature_cache_gb={self.config.feature_cache_gb:g})"

    @property
    def has_features(self) -> bool:
        """Whether the features have been computed and kept."""
        return self._features is not None

    @torch.inference_mode()
    def __call__(self, *, frozen: bool) -> dict[str, float]:
        """Mean loss, top-1 and top-5 accuracy in percent; `frozen` says that the extractor has not learnt so far."""
        net, workers = self.net, self.workers
        if not frozen:
            self._features = None  # frees their memory: the extractor is not frozen again
        workers.broadcast(list(net.buffers()))
        net.eval()
        self._classes = []
        sums = torch.zeros(3, dtype=torch.float64, device=workers.device)
        for features, labels in self._cached() if frozen and self.fits_cache() else self._computed():
            with autocast(self.config, workers.device):
                logits = net.classify(features).float()
            best = logits.topk(min(5, logits.shape[1])).indices
            self._classes.append(best[:, 0])
            top = best == labels[:, None]
            sums += torch.stack(
                [F.cross_entropy(logits, labels, reduction="sum"), top[:, 0].sum(), top.any(1).sum()]
            ).double()
        loss, top1, top5 = workers.sum(*sums.tolist())
        n = len(self.batches.images)
        return {"val_loss": loss / n, "val_acc": 100 * top1 / n, "val_acc5": 100 * top5 / n}

    def classes(self) -> Tensor:
        """The class that the last call found for each image, whole numbers [n] on the CPU in the images' order.

        All workers have to ask for it.
        """
        return self.workers.interleaved(torch.cat(self._classes), len(self.batches.images))

    def _computed(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features [B, C, h, w] and labels [B], computed from the images."""
        for x, labels in self.control.with_heartbeats(self.batches.validation()):
            with autocast(self.config, self.workers.device):
                features = self.net.features(x)
            yield features, labels

    def _cached(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the same from the cache, which is filled the first time."""
        if self._features is None:
            dtype = torch.float16 if self.config.half_cache else torch.float32
            self._features = [(features.to(dtype), labels) for features, labels in self._computed()]
        for features, labels in self.control.with_heartbeats(self._features):
            yield features.float(), labels
