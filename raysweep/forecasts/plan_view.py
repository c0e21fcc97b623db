"""Prints the plan for people: a table as wide as the terminal, totals, and how good past predictions were."""

import datetime
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from raysweep.cache import cache_folder
from raysweep.forecasts.calibration import calibrate
from raysweep.forecasts.machine import Machine, machine_of
from raysweep.forecasts.past import PastError, past_error
from raysweep.forecasts.planning import PlanRow, plan_as_json, plan_rows, total_of
from raysweep.forecasts.purchase import purchase_lines
from raysweep.forecasts.schedule import Total
from raysweep.ledger import Ledger
from raysweep.planning import PlannedRun, Resources, SweepSpec

YEAR = 365.25 * 24 * 3600

NAME = "experiment"
"""The heading of the column whose texts may take several lines."""

COLORS = {"none": "", "likely": "yellow", "certain": "red"}


def show_plan(spec: SweepSpec, runs: Sequence[PlannedRun], ledger: Ledger, resources: Resources) -> None:
    """Print what the runs are, need and take: as a table, or for scripts."""
    machine = machine_of(resources, spec.options.gpus_per_worker, cache_folder())
    if spec.options.calibrate:
        _calibrate(runs, machine)
    rows = plan_rows(runs, ledger, machine)
    if spec.options.json:
        print(json.dumps(plan_as_json(rows), indent=1))
        return
    print(spec.data)
    total, error = total_of(rows, machine), past_error(ledger.records())
    print_plan(rows, total, error, resources=str(resources))
    if spec.options.budget_hours and not spec.by_rounds:
        print(*purchase_lines(rows, spec.questions, machine, *spec.options.budget_hours), sep="\n")
    if spec.question:
        print("these are the first runs of a search; which others follow depends on their results")


def _calibrate(runs: Sequence[PlannedRun], machine: Machine) -> None:
    """Measure the runs that have room on this machine, and say what is not measured."""

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    too_wide = {run.experiment.name: run.num_workers for run in runs if machine.slots_of(run) > machine.slots}
    for name, workers in too_wide.items():
        say(f"not calibrated: {name}: {workers} workers have no room on this machine")
    calibrate([run for run in runs if run.experiment.name not in too_wide], machine.share_of, machine.cache, say)


def print_plan(
    rows: Sequence[PlanRow],
    total: Total,
    error: PastError | None,
    *,
    resources: str,
    console: Console | None = None,
    now: datetime.datetime | None = None,
) -> None:
    """Print the table, what does not fit, the totals and the error of past predictions."""
    console = console or Console()
    console.print(plan_table(rows, console.width))
    for line in itertools.chain(memory_lines(rows), loader_lines(rows)):
        console.print(line, style="yellow", markup=False, highlight=False)
    lines = total_lines(rows, total, error, resources=resources, now=now or datetime.datetime.now())
    for line in itertools.chain(lines, rough_lines(rows)):
        console.print(line, markup=False, highlight=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    heading: str
    text: Callable[[Sequence[PlanRow]], str]
    """The cell's text for neighbouring runs of an experiment, which share a line."""
    least_width: int = 0
    """The narrowest terminal, in characters, in which the column is shown; with 0 it is in any."""
    right: bool = True


def plan_table(rows: Sequence[PlanRow], width: int) -> Group:
    """One line for the neighbouring runs of an experiment that are in the same state, for a terminal of `width`.

    Below it stands which columns were left out. Nothing is cut: the names are broken where they alone are too long.
    """
    table = Table(title="Plan", title_justify="left", pad_edge=False)
    parts = [
        list(part)
        for _, part in itertools.groupby(
            rows, key=lambda row: (row.run.experiment, row.run.group, row.state, row.risk, row.forecast.seconds)
        )
    ]
    filled = [column for column in COLUMNS if any(map(column.text, parts))]
    columns = _fitting(filled, parts, width)
    for column in columns:
        justify: Any = "right" if column.right else "left"
        table.add_column(column.heading, justify=justify, overflow="fold", no_wrap=column.heading != NAME)
    for together in parts:
        style = COLORS.get(together[0].risk or "", "") or ("dim" if not together[0].to_do else "")
        table.add_row(*(escape(column.text(together)) for column in columns), style=style or None)
    left_out = ", ".join(column.heading for column in filled if column not in columns)
    return Group(table, *[Text(f"left out for width: {left_out}; all in --json", style="dim")] * bool(left_out))


def _fitting(columns: Sequence[_Column], parts: Sequence[Sequence[PlanRow]], width: int) -> list[_Column]:
    """The columns for a terminal of this width: of those that do not fit, the ones for wider terminals go first."""
    kept = [column for column in columns if column.least_width <= width]

    def needed(column: _Column) -> int:
        return max(cell_len(text) for text in (column.heading, *map(column.text, parts)))

    while sum(map(needed, kept)) + 3 * len(kept) - 1 > width:
        least = max(kept, key=lambda column: column.least_width)
        if not least.least_width:
            break
        kept.remove(least)
    return kept


def memory_lines(rows: Sequence[PlanRow]) -> Iterator[str]:
    """A line for each experiment that may run out of memory."""
    said = set()
    for row in rows:
        if row.risk in ("likely", "certain") and row.to_do and row.run.experiment.name not in said:
            said.add(row.run.experiment.name)
            sure = "is certain" if row.risk == "certain" else "is likely"
            needs = size(row.fact("memory_bytes"), "B")
            remedy = f"; would fit: {row.remedy}" if "=" in row.remedy else f"; {row.remedy}" if row.remedy else ""
            yield f"{row.run.experiment.name} {sure} to run out of memory ({needs} a worker){remedy}"


def loader_lines(rows: Sequence[PlanRow]) -> Iterator[str]:
    """A line for each experiment whose runs are known to wait for their images on this machine."""
    said = set()
    for row in rows:
        name, loading = row.run.experiment.name, row.forecast.loading
        if row.to_do and loading and loading.bound and name not in said:
            said.add(name)
            phase = f" ({loading.bound})" * (len(loading.waits) > 1)
            yield f"{name}{phase} is {loading}"


def rough_lines(rows: Sequence[PlanRow]) -> Iterator[str]:
    """What rough times rest on, where there are some."""
    if any(row.forecast.by_product for row in rows):
        yield "~ rough: from operations and a measured matrix product; --calibrate measures"
    elif any(row.forecast.basis == "rough" for row in rows):
        yield "~ rough: from operations, at the speed of other runs; --calibrate measures"


def total_lines(
    rows: Sequence[PlanRow], total: Total, error: PastError | None, *, resources: str, now: datetime.datetime
) -> Iterator[str]:
    """How many runs, how many hours, when they will have ended, and how good such predictions were."""
    todo = sum(row.to_do for row in rows)
    yield f"{len(rows)} run{'s' * (len(rows) != 1)}, {len(rows) - todo} done, {todo} to do on {resources}"
    if todo > total.unknown:
        interval = f"{duration(total.low)} to {duration(total.high)}"
        yield f"{duration(total.work)} of training; {duration(total.seconds)} from start to end ({interval})"
        if total.high < 100 * YEAR:
            yield f"started now, it ends {_moment(now, total.seconds)} (by {_moment(now, total.high)})"
        else:
            yield "started now, it may not end within a hundred years"
    if total.unknown:
        yield f"left out: {total.unknown} run{'s' * (total.unknown != 1)} of unknown speed (--calibrate measures them)"
    if error:
        spread = f", spread {100 * error.spread:.0f} %" if error.n > 1 else ""
        yield f"past predictions: {error.n} runs took {error.ratio:.2f} times what was predicted (median{spread})"


def size(number: float | None, unit: str = "") -> str:
    """A number as text: 1.2 G or, with a unit, 3.4 GB; "" for None."""
    if number is None:
        return ""
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number:g} {unit}".rstrip()


def duration(seconds: float | None) -> str:
    """Seconds as text: 45 s, 12 min or 2.5 h; "" for None."""
    if seconds is None:
        return ""
    if seconds < 99.5:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def _moment(now: datetime.datetime, seconds: float) -> str:
    """The moment so many seconds from now, as text; after more than a year with the year in place of the hour."""
    then = now + datetime.timedelta(seconds=seconds)
    return f"{then:%a %d %b %H:%M}" if seconds < YEAR else f"{then:%a %d %b %Y}"


def _name(rows: Sequence[PlanRow]) -> str:
    name = rows[0].run.experiment.name
    return f"{name} x{len(rows)}" if len(rows) > 1 else name


def _seeds(rows: Sequence[PlanRow]) -> str:
    seeds = [row.run.config.seed for row in rows]
    if len(seeds) > 3 and seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))


def _shape(rows: Sequence[PlanRow]) -> str:
    channels, side = rows[0].fact("final_channels"), rows[0].fact("final_size")
    return f"{channels} x {side} x {side}" if channels and side else ""


def _params(rows: Sequence[PlanRow]) -> str:
    extractor, classifier = rows[0].fact("n_params_extractor"), rows[0].fact("n_params_classifier")
    return "" if extractor is None or classifier is None else size(extractor + classifier)


def _flops(name: str) -> Callable[[Sequence[PlanRow]], str]:
    return lambda rows: size(rows[0].fact(name))


def _seconds(rows: Sequence[PlanRow]) -> str:
    """The time of a single run."""
    forecast = rows[0].forecast
    rough, left = "~" * (forecast.basis == "rough"), " left" * forecast.remaining
    return f"{rough}{duration(forecast.seconds)}{left}" if forecast.seconds is not None else ""


def _interval(rows: Sequence[PlanRow]) -> str:
    low, high = rows[0].forecast.low, rows[0].forecast.high
    return "" if low is None else f"{duration(low)} .. {duration(high)}"


def _each(rows: Sequence[PlanRow]) -> str:
    return ", ".join(duration(seconds) for seconds in rows[0].forecast.seconds_per_epoch.values())


def _risk(rows: Sequence[PlanRow]) -> str:
    return (rows[0].risk or "") if rows[0].risk != "none" else ""


COLUMNS = (
    _Column(heading="prio", text=lambda rows: str(rows[0].run.experiment.priority), least_width=160),
    _Column(heading=NAME, text=_name, right=False),
    _Column(heading="group", text=lambda rows: rows[0].run.group, least_width=200, right=False),
    _Column(heading="seeds", text=_seeds, least_width=200, right=False),
    _Column(heading="workers", text=lambda rows: str(rows[0].run.num_workers), least_width=200),
    _Column(heading="state", text=lambda rows: rows[0].state, right=False),
    _Column(heading="output", text=_shape, least_width=200),
    _Column(heading="params", text=_params, least_width=2),
    _Column(heading="forward", text=_flops("flops_forward"), least_width=160),
    _Column(heading="FLOPs", text=_flops("flops_train"), least_width=120),
    _Column(heading="memory", text=lambda rows: size(rows[0].fact("memory_bytes"), "B"), least_width=1),
    _Column(heading="too much", text=_risk, least_width=160, right=False),
    _Column(heading="an epoch", text=_each, least_width=160),
    _Column(heading="time", text=_seconds),
    _Column(heading="interval", text=_interval, least_width=120),
    _Column(heading="basis", text=lambda rows: rows[0].forecast.basis, least_width=120, right=False),
)
"""`params` are all parameters, `FLOPs` those of a training step for each image, `memory` that of a worker, and `time`
that of one run."""
