"""What people see of a plan."""

import datetime
import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from raysweep.forecasts.machine import Machine
from raysweep.forecasts.past import PastError
from raysweep.forecasts.plan_view import YEAR, duration, print_plan, size, total_lines
from raysweep.forecasts.planning import plan_rows, total_of
from raysweep.forecasts.schedule import Total
from raysweep.ledger.opening import open_ledger
from tests.raysweep.forecasts.plans import BASE, SHARE, planned, record

NOW = datetime.datetime(2026, 1, 31, 23, 0)


@pytest.fixture
def shown(tmp_path):
    """A plan of three seeds and of one experiment that is too large, at a width."""
    ledger = open_ledger(tmp_path / "results")
    machine = Machine(
        slots=1,
        slots_of=lambda _: 1,
        share_of=lambda _: SHARE,
        memory_of=lambda _: 2 * 10**9,
        device="cpu",
        cache=tmp_path / "cache",
    )
    (done,) = planned(ledger)
    record(ledger, done)
    large = replace(BASE, name="an_experiment_of_a_long_name_h27")
    rows = plan_rows(planned(ledger, seeds=(1, 2, 3)) + planned(ledger, large, width=40), ledger, machine)

    def show(width, error=None):
        console = Console(file=io.StringIO(), width=width)
        print_plan(rows, total_of(rows, machine), error, resources="1 CPU(s)", console=console, now=NOW)
        return console.file.getvalue()

    return show


@pytest.mark.parametrize("width", [80, 120, 160])
def test_the_table_fits_and_cuts_nothing(shown, width):
    text = shown(width)
    assert max(map(len, text.splitlines())) <= width
    table = text[: text.index("└")]
    assert "…" not in table
    assert "base x3" in table
    assert "1.6 G" in table, "40 M x 40 + 234 parameters"
    assert "23 min" in table, "the 1404 seconds of plans.WHOLE"
    assert ("interval" in table, "measured" in table) == (width >= 120, width >= 120)


def test_totals_name_hours_and_the_end(shown):
    text = shown(80)
    assert "4 runs, 0 done, 4 to do on 1 CPU(s)" in text
    assert "started now, it ends Sun 01 Feb" in text
    assert "past predictions" not in text
    assert "past predictions: 3 runs took 1.10 times what was predicted (median, spread 8 %)" in shown(
        80, PastError(n=3, ratio=1.1, spread=0.08)
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3600.0, "it ends Sun 01 Feb"),
        (2 * YEAR, "it ends Tue 01 Feb 2028 (by Tue 01 Feb 2028)"),
        (1e30, "it may not end within a hundred years"),
    ],
)
def test_an_end_that_no_calendar_has_is_no_error(seconds, said):
    total = Total(work=seconds, seconds=seconds, low=seconds, high=seconds, unknown=0)
    lines = list(total_lines([SimpleNamespace(to_do=True)], total, None, resources="1 CPU(s)", now=NOW))
    assert said in "\n".join(lines)


def test_what_does_not_fit_is_said_with_its_remedy(shown):
    text = " ".join(shown(80).split())
    assert "an_experiment_of_a_long_name_h27 is certain to run out of memory (40.2 GB a worker)" in text


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (None, "B", ""),
        (0, "", "0"),
        (999, "", "999"),
        (1234, "", "1.23 k"),
        (999_600, "", "1 M"),
        (1.2e9, "", "1.2 G"),
        (3.4e9, "B", "3.4 GB"),
        (512, "B", "512 B"),
    ],
)
def test_sizes_are_in_human_units(number, unit, text):
    assert size(number, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.25, "0.25 s"), (9, "9 s"), (45.4, "45 s"), (99.6, "2 min"), (720, "12 min"), (9000, "2.5 h")],
)
def test_durations_are_in_human_units(seconds, text):
    assert duration(seconds) == text
