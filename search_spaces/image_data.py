"""Where the images are that the families of this package train on: the digits are embedded, others lie in folders."""

import contextlib
from collections.abc import Iterator

EMBEDDED = "digits"


def locate(dataset: str, data_dir: str | None) -> str:
    """Where a dataset is, as people are told. Raises ValueError, in a line, where its files are missing."""
    from trainables.data import catalog

    info = catalog.locate(dataset, data_dir)
    if dataset == EMBEDDED:
        return "the embedded digits (scikit-learn's handwriting as 32x32 RGB)"
    if info.layout == "published":
        return f"{dataset} as it was published (its files are not {f'in {data_dir}' if data_dir else 'here'})"
    return f"{dataset} in {data_dir}"


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """Within this context, a published dataset that is not on this machine counts as found."""
    from trainables.data import catalog

    with catalog.published_sizes():
        yield
