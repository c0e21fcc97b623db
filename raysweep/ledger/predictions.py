"""The class that each finished run finds for each of its test images, beside the records.

    RESULTS/predictions/RUN.npz              classes (uint8 or uint16, by test position), images, metrics
    RESULTS/predictions/labels-IMAGES.npz    labels of the same images, once for all runs that were tested on them

`images` tells the images, in their order, from any others: two runs can be compared image by image where it is the
same. `metrics` names the results of the run that are the accuracy of these classes. What a trainable leaves of a run
(see `raysweep.trainable`) is taken over if it says the same as the run's results, to the image.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.ledger.arrays import arrays_of
from raysweep.ledger.reading import read_file
from raysweep.ledger.run_folders import safe_name
from raysweep.ledger.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Classes = NDArray[np.integer[Any]]

MOST_CLASSES = 2**16


class PredictionsError(ValueError):
    """Predictions are damaged, or do not fit the results of their run; the message is one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """What a run found its test images to be."""

    classes: "Classes"
    """The class of each image, [n], by position."""
    images: str
    """Tells the images, in this order, from others."""
    metrics: tuple[str, ...]
    """The results that are the accuracy of the classes."""


def keep_predictions(store: Store, run_name: str, file: Path, *, data: str, results: Mapping[str, Any]) -> str:
    """Keep the predictions that a run has left in a file, or that were kept of it already.

    `data` is the fingerprint of its data. Returns what tells its test images from others, "" where there are no
    predictions. Raises PredictionsError where they are damaged or do not fit the results, OSError where they cannot be
    read or written.
    """
    content = read_file(file)
    if content is None:
        return _kept_already(store, run_name, results)
    arrays = arrays_of(content, str(file), PredictionsError)
    lacking = [name for name in ("classes", "labels", "metrics") if name not in arrays]
    if lacking:
        raise PredictionsError(f"{file} has no array {lacking[0]!r}")
    classes, labels = (_whole_numbers(arrays[name], f"{name!r} of {file}") for name in ("classes", "labels"))
    metrics = tuple(map(str, arrays["metrics"].ravel()))
    _require_fit(classes, labels, metrics, results)
    told = f"{data}\n{arrays.get('images', '')}\n{len(labels)}\n".encode()
    images = hashlib.sha256(told + labels.tobytes()).hexdigest()[:16]
    if store.size(_labels(images)) is None:
        store.put(_labels(images), _npz(labels=labels))
    store.put(_predictions(run_name), _npz(classes=classes, images=images, metrics=metrics))
    return images


def read_predictions(store: Store, run_name: str) -> Predictions | None:
    """What was kept of a run; None if there is nothing.

    Raises PredictionsError where the file is damaged, UnreadableError where it cannot be read.
    """
    name = _predictions(run_name)
    content = store.get(name)
    if content is None:
        return None
    arrays = arrays_of(content, name, PredictionsError)
    if not {"classes", "images", "metrics"} <= arrays.keys():
        raise PredictionsError(f"{name} lacks an array")
    metrics = tuple(map(str, arrays["metrics"].ravel()))
    return Predictions(classes=_whole_numbers(arrays["classes"], name), images=str(arrays["images"]), metrics=metrics)


def read_labels(store: Store, images: str) -> "Classes":
    """The labels of test images, [n], by position. Raises as `read_predictions`, also where there are none."""
    name = _labels(images)
    arrays = arrays_of(store.get(name) or b"", name, PredictionsError)
    if "labels" not in arrays:
        raise PredictionsError(f"{name} lacks an array")
    return _whole_numbers(arrays["labels"], name)


def remove_predictions(store: Store, run_name: str) -> None:
    """Remove the predictions of a run; the labels stay, since they belong to others, too."""
    store.withdraw(_predictions(run_name))


def _require_fit(classes: "Classes", labels: "Classes", metrics: Sequence[str], results: Mapping[str, Any]) -> None:
    """Check that classes [n] and labels [n] give the accuracies that the results name, to a hundredth of an image.

    Raises PredictionsError otherwise.
    """
    if not metrics:
        raise PredictionsError("the predictions do not say of which results they are")
    if len(classes) != len(labels):
        raise PredictionsError(f"there are {len(classes)} predictions for {len(labels)} test images")
    found = 100 * int((classes == labels).sum()) / len(labels)
    for name in metrics:
        said = results.get(name)
        if not isinstance(said, int | float) or not abs(said - found) <= 1 / len(labels):
            raise PredictionsError(f"the predictions have an accuracy of {found:g} %, {name} is {said}")


def _kept_already(store: Store, run_name: str, results: Mapping[str, Any]) -> str:
    """What tells the images of the predictions that were kept of the same run, before its record went."""
    kept = read_predictions(store, run_name)
    if kept is None:
        return ""
    _require_fit(kept.classes, read_labels(store, kept.images), kept.metrics, results)
    return kept.images


def _whole_numbers(values: "NDArray[Any]", where: str) -> "Classes":
    """Classes or labels in the smallest type that holds them. Raises PredictionsError for what are none."""
    import numpy as np

    if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu":
        raise PredictionsError(f"{where}: {values.dtype} of shape {values.shape} are no classes of images")
    if values.min() < 0 or values.max() >= MOST_CLASSES:
        raise PredictionsError(f"{where}: classes are from 0 to {MOST_CLASSES - 1}")
    return values.astype(np.uint8 if values.max() < 2**8 else np.uint16)


def _npz(**arrays: Any) -> bytes:
    import numpy as np

    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _predictions(run_name: str) -> str:
    return f"predictions/{safe_name(run_name)}.npz"


def _labels(images: str) -> str:
    return f"predictions/labels-{safe_name(images)}.npz"
