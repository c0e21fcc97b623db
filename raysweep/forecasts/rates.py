"""Finds how fast runs train, from finished runs in the ledger and from calibrations in the cache.

Runs of one `Shape` are equally fast: they differ in fields such as the seed, the epochs and the learning rates, which
do not change how many images a second are trained on.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from raysweep.ledger import FINISHED, Record, write_json
from raysweep.planning import PlannedRun, settings_of

Rates = Mapping[str, float]
"""`PHASE_images_per_second`, `PHASE_warm_up_seconds`, ... under the names that results have for them."""

DATA = ("image_size", "num_classes")
"""Facts of the data on which the speed depends as well."""
DATA_WAIT, LOADERS = "_data_wait", "loaders"
"""The end of the names of what a phase waits for its images, and the result that says how many threads read these."""
ENDINGS = ("_per_second", "_seconds", DATA_WAIT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """All that the speed of a run depends on, except the device."""

    trainable: str
    num_workers: int
    what: str
    """Size of the images, number of classes and fields of the configuration, as JSON."""

    @classmethod
    def of(cls, run: PlannedRun) -> "Shape":
        """The shape of a planned run.

        It follows from the fields that the trainable's `check` names as `rate_fields`, else from all but the seed.
        """
        return cls._from(run, run.record())

    @classmethod
    def of_record(cls, record: Record, run: PlannedRun) -> "Shape":
        """The shape of a recorded run, which is of the same trainable as `run`."""
        return cls._from(run, record)

    @classmethod
    def _from(cls, run: PlannedRun, record: Record) -> "Shape":
        names = run.facts.get("rate_fields") or settings_of(run.config)
        facts, config = record.get("facts") or {}, record["config"]
        what = {**{name: config.get(name) for name in names}, **{name: facts.get(name) for name in DATA}}
        what |= {"prepared": facts["prepared"]} if "prepared" in facts else {}  # smaller files are read faster
        return cls(
            trainable=record["trainable"],
            num_workers=record["num_workers"],
            what=json.dumps(what, sort_keys=True),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """The device that a worker trains on, and how many trials train at the same time."""

    device_name: str
    """The device's name as in results; a CPU's includes the number of threads."""
    threads: int
    at_once: int
    """How many trials like this one the sweep runs at the same time."""
    gpus: int = 0
    """How many GPUs of the machine the sweep uses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rated:
    """Known rates of a shape on a device."""

    rates: Rates
    spread: float
    """Relative standard deviation of the measured rates of training; 0 where there is but one."""
    n: int
    config: Mapping[str, Any]
    """Fields of one of the configurations that were measured."""


def from_records(records: Iterable[Record], runs: Sequence[PlannedRun], device_name: str) -> dict[Shape, Rated]:
    """The rates of finished runs on a device by shape, each the median over runs, for the trainables of `runs`."""
    first = {run.experiment.trainable: run for run in reversed(runs)}
    found: dict[Shape, list[Record]] = {}
    for record in records:
        run = first.get(record.get("trainable", ""))
        if run and _is_ours(record) and record["results"].get("device_name") == device_name:
            found.setdefault(Shape.of_record(record, run), []).append(record)
    return {
        shape: rated([_rates_of(r["results"]) for r in known], known[-1]["config"]) for shape, known in found.items()
    }


def rated(measured: Sequence[Rates], config: Mapping[str, Any]) -> Rated:
    """The medians of several measurements of one shape."""
    names = {name for rates in measured for name in rates}
    medians = {name: statistics.median(rates[name] for rates in measured if name in rates) for name in names}
    trained = [name for name in names if name.endswith("_images_per_second") and "validation" not in name]
    spreads = [_spread([rates[name] for rates in measured if name in rates]) for name in trained]
    return Rated(rates=medians, spread=max(spreads, default=0.0), n=len(measured), config=config)


def cached(shape: Shape, share: Share, cache: Path) -> Rated | None:
    """The calibration of a shape for such a share, or None if there is none."""
    try:
        content = json.loads(_file(shape, share, cache).read_bytes())
        return rated(content["measured"], content["config"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def all_cached(share: Share, cache: Path) -> dict[Shape, Rated]:
    """All calibrations for such a share, with this version of torch."""
    found = {}
    for file in sorted((cache / "rates").glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            shape = Shape(**json.loads(file.read_bytes())["shape"])
            if known := cached(shape, share, cache):
                found[shape] = known
    return found


def keep(shape: Shape, share: Share, cache: Path, measured: Sequence[Rates], config: Mapping[str, Any]) -> None:
    """Put a calibration into the cache. Raises OSError."""
    content = {"shape": dataclasses.asdict(shape), "share": dataclasses.asdict(share)}
    write_json(_file(shape, share, cache), {**content, "measured": list(measured), "config": config})


@functools.lru_cache(maxsize=1)
def _torch_version() -> str:
    """The installed version, which is looked up once since a plan needs it for each run."""
    return version("torch")


def _file(shape: Shape, share: Share, cache: Path) -> Path:
    what = [dataclasses.asdict(shape), dataclasses.asdict(share), _torch_version()]
    return cache / "rates" / f"{hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]}.json"


def _is_ours(record: Record) -> bool:
    """Whether a record is of a finished run that was measured here, under its own name."""
    return record["status"] == FINISHED and not record.get("imported") and "same_as" not in record


def _rates_of(results: Mapping[str, Any]) -> Rates:
    return dict(_numbers(results))


def _numbers(results: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in results.items():
        if (name.endswith(ENDINGS) or name == LOADERS) and isinstance(value, int | float) and math.isfinite(value):
            yield name, float(value)


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) / statistics.mean(values) if len(values) > 1 else 0.0
