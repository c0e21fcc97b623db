"""The filters that a finished run has left in its folder, before and after training, for pictures.

    RESULTS/runs/RUN/filters.npz    written by the trainable, if it writes any (see `raysweep.trainable`)

They stay as long as the run's folder. What the arrays are is between the trainable and `analysis.plots.filters`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from raysweep.ledger.arrays import arrays_of
from raysweep.ledger.run_folders import FILTERS, safe_name
from raysweep.ledger.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FiltersError(ValueError):
    """The filters of a run are damaged; the message is one line."""


def read_filters(store: Store, run_name: str) -> "Mapping[str, NDArray[Any]] | None":
    """The arrays of a run; None where it has left none.

    Raises FiltersError where the file is damaged, UnreadableError where it cannot be read.
    """
    name = f"runs/{safe_name(run_name)}/{FILTERS}"
    content = store.get(name)
    return None if content is None else arrays_of(content, name, FiltersError)
