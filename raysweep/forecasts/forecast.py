"""Forecasts how long runs will take, from the images of their phases and the known rates.

    seconds = setup + sum over phases (warm-up + once + epochs x (training + validation + checkpoint))

The rates are those of finished runs of the same shape on this device ("measured"), of a calibration ("calibrated"), or
follow from floating-point operations, at the speed of what has been rated or of a matrix product ("rough", see there).
"""

import contextlib
import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from raysweep.forecasts.loading import Loading
from raysweep.forecasts.rates import Rated, Rates, Shape, Share, all_cached, cached, from_records
from raysweep.forecasts.rough import Flops, Speed, rough_rates, speed_of_rated
from raysweep.ledger import FINISHED, Record
from raysweep.planning import PlannedRun, usable_cpus
from raysweep.trainable import Phase

Basis = Literal["measured", "calibrated", "rough", "unknown"]
LEAST_SPREAD: Mapping[Basis, float] = {"measured": 0.05, "calibrated": 0.15}
"""The least relative standard deviation that is assumed of a predicted time, by its basis."""
START_CPU_SECONDS = 5.0
"""Seconds of one core that the processes of a later trial take to start while a run trains (docs/log.md)."""
ROUGH, ROUGH_BY_PRODUCT = 2.0, 3.0
"""The factor between a rough forecast and either end of its interval, by the speed of other runs or of a product."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What is known beforehand of a run's time."""

    basis: Basis
    seconds: float | None = None
    """The time with all epochs, or with as many as runs with other seeds took before they stopped."""
    low: float | None = None
    """Seconds with the fewest epochs that early stopping leaves, if it is fast."""
    high: float | None = None
    """Seconds with all epochs, if it is slow."""
    spread: float = 0.0
    """The relative standard deviation of the rates."""
    least: float | None = None
    """Seconds with the fewest epochs, at the same rates as `seconds`."""
    seconds_per_epoch: Mapping[str, float]
    """The seconds that an epoch takes, by phase."""
    epochs: Mapping[str, float]
    """How many epochs `seconds` counts, by phase."""
    shape: Shape
    remaining: bool = False
    """Whether `seconds` counts only what is left after a checkpoint."""
    by_product: bool = False
    """Whether a rough one rests on a matrix product, and not on rates of other runs."""
    loading: Loading | None = None
    """What is known of how long such runs wait for their images; None where no rates are known."""


def forecasts(
    runs: Sequence[PlannedRun],
    records: Sequence[Record],
    share_of: Callable[[PlannedRun], Share],
    cache: Path,
    *,
    error: float = 0.0,
    flops: Flops = lambda _: None,
    product: Callable[[PlannedRun], Speed | None] = lambda _: None,
    position: Callable[[PlannedRun], tuple[str, int] | None] = lambda _: None,
) -> list[Forecast]:
    """The forecast of each run, in the given order.

    `share_of` says what a worker of a run computes on, `cache` is the folder in which calibrations are kept, `error` is
    the relative standard deviation of past predictions (see `past`), `product` returns the speed of a run by a matrix
    product, for want of rates, and `position` says after which epoch of which phase a run goes on.
    """
    names = {share_of(run).device_name for run in runs}
    measured = {name: from_records(records, runs, name) for name in names}
    bases = [_basis(run, measured[share_of(run).device_name], share_of(run), cache) for run in runs]
    mates = [(run, rates) for run, (_, rates) in zip(runs, bases, strict=True) if rates]
    unrated = len(mates) < len(runs)
    if unrated and not mates:
        mates = [
            mate
            for share in {share_of(run) for run in runs}
            for mate in _others(runs, {**measured[share.device_name], **all_cached(share, cache)})
        ]
    speed = speed_of_rated(mates, flops) if unrated else None
    return [
        _forecast(
            run,
            basis,
            rates,
            None if rates else speed or product(run),
            flops,
            _usual_epochs(run, records),
            error,
            position(run),
            beside=_start_beside(run, share_of(run)) if len(runs) > share_of(run).at_once else 0.0,
            rough=ROUGH if speed else ROUGH_BY_PRODUCT,
        )
        for run, (basis, rates) in zip(runs, bases, strict=True)
    ]


def _basis(run: PlannedRun, measured: Mapping[Shape, Rated], share: Share, cache: Path) -> tuple[Basis, Rated | None]:
    """The rates that are known of a run, and how; those of finished runs go before those of a calibration."""
    shape = Shape.of(run)
    known, calibrated = (
        rated if rated and _fits(rated, run) else None for rated in (measured.get(shape), cached(shape, share, cache))
    )
    return "measured" if known else "calibrated" if calibrated else "unknown", known or calibrated


def seconds_of(phases: Iterable[Phase], rates: Rates, epochs: Mapping[str, float]) -> float:
    """The seconds that phases take with these numbers of epochs, without set-up."""
    total = 0.0
    for phase in phases:
        name, done = phase["phase"], epochs[phase["phase"]]
        total += rates.get(f"{name}_warm_up_seconds", 0.0) + done * seconds_per_epoch(phase, rates)
        total += _over(phase["validation_images_once"], rates.get(f"{name}_validation_images_per_second"))
        if phase["cached"] and done:  # the first pass computes what the others find
            images = phase["validation_images"]
            total += _over(images, rates.get(f"{name}_validation_images_per_second"))
            total -= _over(images, rates.get(f"{name}_cached_validation_images_per_second"))
    return total


def seconds_per_epoch(phase: Phase, rates: Rates) -> float:
    """The seconds that an epoch of a phase takes; if its features are cached, one that finds them."""
    name = phase["phase"]
    validation = f"{name}{'_cached' * phase['cached']}_validation_images_per_second"
    trained: float = phase["train_images"] / rates[f"{name}_images_per_second"]
    evaluated = _over(phase["validation_images"], rates.get(validation))
    return trained + evaluated + float(rates.get(f"{name}_checkpoint_seconds", 0.0))


def _forecast(
    run: PlannedRun,
    basis: Basis,
    known: Rated | None,
    speed: Speed | None,
    flops: Flops,
    usual: Mapping[str, float],
    error: float,
    at: tuple[str, int] | None,
    beside: float,
    rough: float,
) -> Forecast:
    phases = list(run.facts.get("phases") or ())
    rates = known.rates if known else rough_rates(phases, flops(run), speed)
    if not rates or not phases:
        return Forecast(basis="unknown", seconds_per_epoch={}, epochs={}, shape=Shape.of(run))
    basis = basis if known else "rough"
    epochs = {p["phase"]: usual.get(p["phase"], p["epochs"]) for p in phases}
    each = {p["phase"]: seconds_per_epoch(p, rates) for p in phases}
    least = {p["phase"]: p["least_epochs"] for p in phases}
    most = {p["phase"]: p["epochs"] for p in phases}
    setup = rates.get("setup_seconds", 0.0) + (0.0 if basis == "measured" else beside)
    seconds, lowest, highest = (setup + _left(phases, rates, counted, at) for counted in (epochs, least, most))
    lowest = min(lowest, seconds)
    if known:
        spread = max(known.spread, LEAST_SPREAD[basis], error)
        low, high = lowest / (1 + 2 * spread), highest * (1 + 2 * spread)
    else:
        spread, low, high = math.log(rough) / 2, lowest / rough, highest * rough
    return Forecast(
        basis=basis,
        seconds=seconds,
        low=low,
        high=high,
        spread=spread,
        least=lowest,
        seconds_per_epoch=each,
        epochs=epochs,
        shape=Shape.of(run),
        remaining=at is not None,
        by_product=basis == "rough" and rough == ROUGH_BY_PRODUCT,
        loading=Loading.of(rates, run.num_workers),
    )


def _start_beside(run: PlannedRun, share: Share) -> float:
    """The seconds by which a run takes longer because a later one is prepared meanwhile.

    Measured rates show it already.
    """
    cores = usable_cpus()
    disturbed = not share.gpus and not run.experiment.timed and share.at_once * share.threads >= cores
    return START_CPU_SECONDS * share.at_once * share.threads / cores if disturbed else 0.0


def _left(phases: Sequence[Phase], rates: Rates, epochs: Mapping[str, float], at: tuple[str, int] | None) -> float:
    """The seconds that phases take without set-up or, with a position, those that are left after it."""
    names = [phase["phase"] for phase in phases]
    if at is None or at[0] not in names:
        return seconds_of(phases, rates, epochs)
    now = names.index(at[0])
    rest = max(0.0, epochs[at[0]] - at[1])
    once = _over(phases[now]["validation_images_once"], rates.get(f"{at[0]}_validation_images_per_second"))
    return seconds_of(phases[now:], rates, {**epochs, at[0]: rest}) - once


def _over(images: float, rate: float | None) -> float:
    """The seconds that so many images take, or 0 if the rate is unknown."""
    return images / rate if rate else 0.0


def _fits(known: Rated, run: PlannedRun) -> bool:
    """Whether all rates that a run needs are known, since a trainable may give fewer."""
    needed = []
    for phase in run.facts.get("phases") or ():
        needed.append(f"{phase['phase']}_images_per_second")
        if phase["validation_images"] or phase["validation_images_once"]:
            needed.append(f"{phase['phase']}_validation_images_per_second")
    return all(name in known.rates for name in needed)


def _usual_epochs(run: PlannedRun, records: Iterable[Record]) -> dict[str, float]:
    """The median number of epochs of finished runs that differ in the seed alone, by phase."""
    found: dict[str, list[float]] = {}
    planned = run.record()
    ours = planned["config"]
    same = [name for name in ours if name not in (*planned["no_effect"], "seed")]
    for record in records:
        theirs = record["config"]
        alike = record.get("trainable") == run.experiment.trainable and record.get("data") == run.facts["data"]
        if alike and record["status"] == FINISHED and all(theirs.get(name) == ours[name] for name in same):
            for phase in run.facts.get("phases") or ():
                epochs = record["results"].get(f"{phase['phase']}_epochs")
                if epochs is not None:
                    found.setdefault(phase["phase"], []).append(epochs)
    return {phase: statistics.median(epochs) for phase, epochs in found.items()}


def _others(runs: Sequence[PlannedRun], known: Mapping[Shape, Rated]) -> Iterator[tuple[PlannedRun, Rated]]:
    """Rated runs that are not in the plan, and whose configurations are still possible."""
    first = {run.experiment.trainable: run for run in reversed(runs)}
    for shape, rated in known.items():
        run = first.get(shape.trainable)
        if run:
            names = {f.name for f in dataclasses.fields(run.config)} & rated.config.keys()
            with contextlib.suppress(ValueError, TypeError):
                config = dataclasses.replace(run.config, **{name: rated.config[name] for name in names})
                yield dataclasses.replace(run, config=config, num_workers=shape.num_workers), rated
