"""Kinds of failure, and what to do about each.

lost       a worker, node or process went away       the run goes on from its checkpoint
hung       no worker got on for far too long         the same, after its processes were ended
memory     not enough of it                          again in smaller parts, then failed with remedies
diverged   a loss that is not a number               never again with this seed
disk       no space left, results not to be opened    failed, and nothing else starts
data       data that cannot be read                  failed, the file named
error      any other exception                       failed; the third of a kind ends its group
"""

import contextlib
import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass

from raysweep.ledger import DIVERGED, FAILED
from raysweep.messages import one_line
from raysweep.planning import PlannedRun
from raysweep.trainable_loader import load_trainable, spoken_changes

LOST, HUNG, MEMORY, DISK, DATA, ERROR = "lost", "hung", "memory", "disk", "data", "error"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run has ended, in a line."""

    kind: str
    cause: str

    @property
    def status(self) -> str:
        """The status that is recorded for this failure, or "" if the run goes on."""
        if self.kind in (LOST, HUNG):
            return ""
        return DIVERGED if self.kind == DIVERGED else FAILED

    @property
    def signature(self) -> str:
        """A text that is equal for failures that differ only in numbers and names of files."""
        return f"{self.kind}: " + re.sub(r"\S*/\S*|0x[0-9a-f]+|\d+", "#", self.cause)


def failure_of(failures: Sequence[BaseException]) -> Failure:
    """The failure that the exceptions of a run's workers stand for."""
    # A lost worker or node arrives as one of Ray's errors, anything else was raised by the trainable.
    lost = [failure for failure in failures if type(failure).__module__.startswith("ray.")]
    own = [failure for failure in failures if failure not in lost]
    for failure in failures:
        if _is_of_memory(failure):
            return Failure(MEMORY, one_line(failure))
    # If a worker is lost, the others fail for want of it; and a loading process may be killed for its memory.
    of_want = ("onnection", "NCCL", "gloo", "Gloo", "peer", "DataLoader worker")
    own = [f for f in own if not (isinstance(f, RuntimeError) and any(word in str(f) for word in of_want))]
    if not own or lost:
        return Failure(LOST, f"a worker was lost ({one_line((lost or list(failures))[0])})")
    first = own[0]
    if isinstance(first, FloatingPointError):
        return Failure(DIVERGED, one_line(first))
    if isinstance(first, OSError) and first.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return Failure(DISK, one_line(first))
    if getattr(type(first), "failure_kind", "") == DATA:
        return Failure(DATA, one_line(first))
    return Failure(ERROR, one_line(first))


def remedies(run: PlannedRun) -> str:
    """What can be done if a run finds too little memory, in half a line."""
    with contextlib.suppress(ValueError, OSError):
        known = load_trainable(run.experiment.trainable).remedies(run.config, run.num_workers)
        if known:
            said = ", or ".join(spoken_changes(remedy["changes"]) for remedy in known)
            return f"remedies: {said} (each is another experiment)"
    return "it needs more memory"


def _is_of_memory(error: BaseException) -> bool:
    named = isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "OutOfMemory")
    return named or any(text in str(error) for text in ("can't allocate memory", "CUDA out of memory"))
