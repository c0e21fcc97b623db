"""Which GPUs of this machine a trial trains on."""

from collections.abc import Hashable, Sequence


class Devices:
    """Hands out shares of GPUs, each by what CUDA_VISIBLE_DEVICES calls it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._used = [0.0] * len(names)
        self._held: dict[Hashable, list[tuple[int, float]]] = {}

    def suffice(self, workers: int, share: float) -> bool:
        """Whether there is room for so many workers with `share` of a GPU, or so many GPUs, each."""
        return bool(self._choose(workers, share))

    def take(self, holder: Hashable, workers: int, share: float) -> list[str]:
        """The GPUs of all workers; the first one of each come first.

        A share below 1, of one worker, goes to the fullest GPU that has it, so that whole ones stay free for others.
        """
        chosen = self._held[holder] = self._choose(workers, share)
        for i, part in chosen:
            self._used[i] += part
        per_worker = max(1, round(share))
        order = (w * per_worker + k for k in range(per_worker) for w in range(len(chosen) // per_worker))
        return [self._names[chosen[i][0]] for i in order]

    def _choose(self, workers: int, share: float) -> list[tuple[int, float]]:
        if share < 1 and workers == 1:
            fitting = [i for i, used in enumerate(self._used) if used + share <= 1 + 1e-9]
            return [(max(fitting, key=lambda i: (self._used[i], -i)), share)] if fitting else []
        free, need = [i for i, used in enumerate(self._used) if used == 0], round(workers * share)
        return [(i, 1.0) for i in free[:need]] if len(free) >= need else []

    def release(self, holder: Hashable) -> None:
        """Take back what a holder has, if anything."""
        for i, part in self._held.pop(holder, ()):
            self._used[i] = round(self._used[i] - part, 9)
