"""Assigns the GPUs of this machine, or shares of them, to trials."""

from collections.abc import Hashable, Sequence


class Devices:
    """The GPUs of this machine, named as in CUDA_VISIBLE_DEVICES, and which trial holds how much of each."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._held: dict[Hashable, list[tuple[int, float]]] = {}

    def suffice(self, workers: int, share: float) -> bool:
        """Whether `workers` workers find room; each takes `share` GPUs, which is a fraction or a whole number."""
        return bool(self._choose(workers, share))

    def take(self, holder: Hashable, workers: int, share: float) -> list[str]:
        """Assign GPUs to a holder and return their names, the first GPU of every worker before the second ones.

        This is the order in which a worker finds its first GPU at its local rank. A share below 1 comes from the
        fullest GPU that still has it free, so that whole GPUs stay free for others.
        """
        chosen = self._held[holder] = self._choose(workers, share)
        per_worker = max(1, round(share))
        order = (w * per_worker + k for k in range(per_worker) for w in range(len(chosen) // per_worker))
        return [self._names[chosen[i][0]] for i in order]

    def release(self, holder: Hashable) -> None:
        """Take back the GPUs that a holder has, if any."""
        self._held.pop(holder, None)

    def _used(self, device: int) -> float:
        """The part of a GPU that is taken."""
        return sum(part for chosen in self._held.values() for i, part in chosen if i == device)

    def _choose(self, workers: int, share: float) -> list[tuple[int, float]]:
        """The GPUs to take, by index, and how much of each; empty if there is no room."""
        used = [self._used(i) for i in range(len(self._names))]
        if share < 1 and workers == 1:
            fitting = [i for i in range(len(used)) if used[i] + share <= 1 + 1e-9]
            return [(max(fitting, key=lambda i: (used[i], -i)), share)] if fitting else []
        free, need = [i for i in range(len(used)) if not used[i]], round(workers * share)
        return [(i, 1.0) for i in free[:need]] if len(free) >= need else []
