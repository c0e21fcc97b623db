"""A sweep's results and answers in the terminal."""

import os
import re
from collections.abc import Iterator
from itertools import zip_longest

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from analysis.reading.results import Results, searched
from analysis.tables.airbench import cascade_table, timed_runs
from analysis.tables.overall import runs_table
from analysis.tables.scattering import filter_change_table, significance_table
from analysis.tables.searches import search_tables
from analysis.verdicts.answers import verdicts
from analysis.verdicts.looks import looked_at
from analysis.verdicts.verdict import EQUIVALENT, NO, OPEN, REFUSED, UNDECIDED, YES, Verdict
from analysis.verdicts.wording import (
    Answered,
    basis,
    by_question,
    footnotes,
    headline,
    out_of_reach,
    remarks,
    what_would_settle,
)
from raysweep.ledger import open_ledger

WIDTH = 160
"""Characters of a line where the output is no terminal, and COLUMNS says nothing else."""

COLORS = {YES: "green", NO: "red", EQUIVALENT: "cyan", UNDECIDED: "yellow", REFUSED: "magenta", OPEN: "yellow"}


def print_answers(
    folder: str | os.PathLike[str], runs: list[str] | None = None, console: Console | None = None
) -> None:
    """Print the results tables and the answers to the questions; with `runs`, of these alone."""
    results = Results.read(folder, runs)
    print_results(results, console, looked_at(open_ledger(folder), verdicts(results)))


def print_results(results: Results, console: Console | None = None, answers: list[Verdict] | None = None) -> None:
    """Print the tables and answers of results that have been read."""
    console = console or Console(width=None if os.isatty(1) or os.environ.get("COLUMNS", "").isdigit() else WIDTH)
    settings = results.settings
    answers = verdicts(results) if answers is None else answers
    for line in results.notices:
        console.print(line, style="bold red", markup=False, highlight=False)
    if not settings:
        console.print("no results yet")
        return
    for setting in settings:
        timed = timed_runs(setting)
        plain = setting.runs[~searched(setting.runs)] if len(setting.runs) else setting.runs
        if len(plain) > len(timed):
            console.print(runs_table(setting).rich(console.width))
        elif len(setting.ended) or not len(timed):
            console.print(setting.title, style="italic")
        asked = list(by_question([v for v in answers if v.setting == setting.title]))
        for answered in asked:
            if not answered.is_out_of_reach:
                _print_answer(answered, console)
        if line := out_of_reach([answered for answered in asked if answered.is_out_of_reach]):
            console.print(Text(line, style=COLORS[OPEN]))
        for line in _remedied(setting.runs):
            console.print(line, style="yellow", markup=False)
        for _, run in setting.ended.iterrows():
            kind = f" ({run['kind']})" if run.get("kind") in ("lost", "memory", "disk", "data") else ""
            text = f"{run['experiment']} seed {run['seed']} {run['status']}{kind}: {run['error']}"
            console.print(text, style="bold red", markup=False)
    for table in (significance_table(results), filter_change_table(results)):
        if len(table.rows) and table.rows["n_seeds"].max() > 1:  # of one seed they would repeat the first table
            console.print(table.rich(console.width))
    cascade = cascade_table(results)
    if len(cascade.rows):
        console.print(cascade.rich(console.width))
    for table in search_tables(results):
        console.print(table.rich(console.width))
    titles = {setting.title for setting in settings}
    for answered in by_question([v for v in answers if v.setting not in titles]):
        console.print(answered.setting, style="italic")
        _print_answer(answered, console)
    for line in footnotes(answers):
        console.print(Text(line, style="dim"))


def _print_answer(answered: Answered, console: Console) -> None:
    """The question, then for each metric and arm the answer and what it rests on."""
    console.print(Text(answered.text, style="bold"))
    opened = dict.fromkeys(v.reason for v in answered.verdicts if v.answer == OPEN)
    for reason in opened:
        console.print(Text(f"  open: {reason}", style=COLORS[OPEN]))
    decided = [v for v in answered.verdicts if v.answer != OPEN]
    several = len({v.arm for v in decided}) > 1
    for v, following in zip_longest(decided, decided[1:]):
        line = Text(f"  {v.arm} " if several else "  ")
        line.append(headline(v), style=COLORS[v.answer])
        console.print(line)
        for text in filter(None, [basis(v), *remarks(v)]):
            console.print(Padding(Text(text, style="dim"), (0, 0, 0, 4), expand=False))
        command = v.needed.command if v.needed else ""
        if (
            following
            and following.needed
            and (what_would_settle(following), following.needed.command) == (what_would_settle(v), command)
        ):
            continue  # it is said once for all metrics
        if text := what_would_settle(v):
            console.print(Padding(Text(text, style="dim"), (0, 0, 0, 4), expand=False))
        if command:
            console.print(Text(_in_lines(command, console.width, indent=6), style="dim"))
    note = next((v.note for v in decided if v.note), "")
    if note:
        console.print(Padding(Text(note, style="italic"), (0, 0, 0, 2), expand=False))


def _in_lines(command: str, width: int, indent: int) -> str:
    """A command that can be copied from a terminal of so many characters, with a backslash where it goes on."""
    lines, most = [""], width - indent - len(f"  {GOES_ON}")
    for word in WORDS.findall(command):
        if lines[-1] and len(f"{lines[-1]} {word}") > most:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return " " * indent + f"{GOES_ON}\n{' ' * (indent + 2)}".join(lines)


GOES_ON = " \\"
WORDS = re.compile(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+")
"""The words of a command, quoted ones whole."""


def _remedied(done: pd.DataFrame) -> Iterator[str]:
    """What was done to runs that did not find the memory they needed."""
    if "batch_parts" in done:
        for _, run in done[done["batch_parts"] > 1].iterrows():
            yield (
                f"{run['experiment']} seed {run['seed']}: for want of memory its batches were cut in "
                f"{run['batch_parts']:g} parts, over which batch norm took its statistics"
            )
