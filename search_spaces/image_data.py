"""Where the images are that the families of this package train on: the digits are embedded, others lie in folders."""

import contextlib
from collections.abc import Iterator


def locate(dataset: str, data_dir: str | None) -> str:
    """Where a dataset is and what was found of it, as people are told.

    Raises ValueError, in a line, where its files are missing, incomplete or of another kind.
    """
    from trainables.data import catalog

    said: str = catalog.described(catalog.locate(dataset, data_dir), data_dir)
    return said


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """Within this context, a published dataset that is not on this machine counts as found."""
    from trainables.data import catalog

    with catalog.published_sizes():
        yield
