"""Which GPUs of this machine a trial trains on."""

from collections.abc import Hashable, Sequence


class Devices:
    """Hands out shares of GPUs, each by what CUDA_VISIBLE_DEVICES calls it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._held: dict[Hashable, list[tuple[int, float]]] = {}

    def suffice(self, workers: int, share: float) -> bool:
        """Whether there is room for so many workers with `share` of a GPU, or so many GPUs, each."""
        return bool(self._choose(workers, share))

    def take(self, holder: Hashable, workers: int, share: float) -> list[str]:
        """The GPUs of all workers; the first one of each come first.

        A share below 1, of one worker, goes to the fullest GPU that has it, so that whole ones stay free for others.
        """
        chosen = self._held[holder] = self._choose(workers, share)
        per_worker = max(1, round(share))
        order = (w * per_worker + k for k in range(per_worker) for w in range(len(chosen) // per_worker))
        return [self._names[chosen[i][0]] for i in order]

    def release(self, holder: Hashable) -> None:
        """Take back what a holder has, if anything."""
        self._held.pop(holder, None)

    def _used(self, device: int) -> float:
        return sum(part for chosen in self._held.values() for i, part in chosen if i == device)

    def _choose(self, workers: int, share: float) -> list[tuple[int, float]]:
        used = [self._used(i) for i in range(len(self._names))]
        if share < 1 and workers == 1:
            fitting = [i for i in range(len(used)) if used[i] + share <= 1 + 1e-9]
            return [(max(fitting, key=lambda i: (used[i], -i)), share)] if fitting else []
        free, need = [i for i in range(len(used)) if not used[i]], round(workers * share)
        return [(i, 1.0) for i in free[:need]] if len(free) >= need else []
