"""A results folder as the analysis sees it: runs by setting, the plan, the questions, and what is wrong with the files.

A setting holds the runs that may be compared without a word: of one dataset and its very files, with the same fields
set by hand. Where an experiment was run with the same seed in several ways (workers, version of the arithmetic), each
way is a setting of its own.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.numbers import count
from analysis.reading.families import Families, completed, undeclared
from analysis.reading.notes import Note, frames_by_notes, notice_of, read_notes, sound_notes
from analysis.reading.records import declared_dataset, sound_families, sound_plan, sound_questions, sound_record
from raysweep.experiment import Declaration
from raysweep.ledger import (
    FINISHED,
    LedgerError,
    UnreadableError,
    WrittenQuestion,
    open_ledger,
    read_declarations,
    read_plan,
    read_questions,
)

WAYS = ("num_workers", "numerics")
"""Ways in which one experiment may have been run several times with the same seed."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Runs that may be compared with each other."""

    title: str
    dataset: str
    """The data, with how they were prepared beforehand where they were (see `raysweep.ledger.data_set_of`)."""
    declared: str
    """What --dataset and questions call them."""
    runs: pd.DataFrame
    """The finished ones, at most one for each experiment and seed."""
    ended: pd.DataFrame
    """Those that failed or diverged."""
    planned: Sequence[Mapping[str, Any]]
    """What the last sweep set out to run."""
    config: frozenset[str]
    """The columns that are fields of configurations."""
    location: str
    """The results folder."""
    families: Families
    """What is said of these results by those who declared what is measured."""
    excluded: pd.DataFrame
    """Those that a note leaves out, however they ended."""
    notes: Sequence[Note] = ()
    """What people have noted on runs of the folder."""

    @property
    def prepared(self) -> str:
        """What answers say of data that were prepared beforehand; "" for data as they came."""
        return "" if self.dataset == self.declared else f"on {self.dataset}"

    @cached_property
    def worked_out(self) -> dict[str, Any]:
        """What has been worked out of these runs, for those who ask for it again."""
        return {}

    @cached_property
    def experiments(self) -> set[str]:
        """All that were run or planned."""
        planned = {plan["experiment"] for plan in self.planned}
        return planned.union(*(rows["experiment"] for rows in (self.runs, self.ended, self.excluded)))


@dataclass(frozen=True, kw_only=True)
class Results:
    """The runs, plan and questions of a results folder."""

    frame: pd.DataFrame
    """One row for each run that has ended (see `raysweep.load_results`), without those that notes leave out."""
    questions: Sequence[WrittenQuestion] = ()
    plan: Sequence[Mapping[str, Any]] = ()
    families: Sequence[Declaration] = field(default_factory=undeclared)
    """What is said of the results by those who declared what is measured."""
    location: str = "results"
    notices: list[str] = field(default_factory=list)
    """What is wrong with the files, a line each: the rest is reported all the same."""
    unreadable: Sequence[str] = ()
    """The files that could not be read, and may hold results."""
    notes: Sequence[Note] = ()
    """What people have noted on runs."""
    excluded: pd.DataFrame | None = None
    """The runs that notes leave out, numbered among those of `frame`; None where there are none."""
    beside: "Results | None" = None
    """All runs of the folder, where these are some of them."""

    @classmethod
    def read(cls, location: str | os.PathLike[str], runs: Collection[str] | None = None) -> "Results":
        """Reads a results folder, given its path or URL; with `runs`, these alone."""
        ledger, runs = open_ledger(location), None if runs is None else frozenset(runs)
        notices: list[str] = []
        unreadable: dict[str, str] = {}
        families = completed(sound_families(_read(lambda: read_declarations(ledger), notices, unreadable), notices))
        readable = ledger.readable_records()
        every = [sound_record(r, families, notices) for r in readable]
        every.sort(key=lambda record: (record["priority"], str(record["finished"])))
        notices = [*(f"damaged record, left out: {file}" for file in ledger.damaged), *notices]
        notices += filter(None, [ledger.copies()])
        questions = sound_questions(_read(lambda: read_questions(ledger), notices, unreadable), notices)
        plan = sound_plan(_read(lambda: read_plan(ledger), notices, unreadable), notices)
        notes = sound_notes(_read(lambda: read_notes(ledger), notices, unreadable), notices)
        unreadable |= ledger.files.unreadable
        frame, excluded = frames_by_notes(ledger, every, notes)
        found = cls(
            frame=frame,
            excluded=excluded,
            notes=notes,
            questions=questions,
            families=families,
            plan=plan,
            location=ledger.location,
            notices=[
                *(f"cannot be read, left out: {file} ({why})" for file, why in unreadable.items()),
                *([] if excluded is None else [notice_of(notes, excluded)]),
                *notices,
            ],
            unreadable=list(unreadable),
        )
        if runs is None:
            return found
        found = replace(found, plan=[entry for entry in plan if entry["run"] in runs])
        chosen = [record for record in every if record["run"] in runs]
        if len(chosen) == len(every):
            return found
        everything = replace(found, plan=plan, notices=[])
        frame, excluded = frames_by_notes(ledger, chosen, notes)
        return replace(found, frame=frame, excluded=excluded, beside=everything)

    @property
    def config(self) -> frozenset[str]:
        """The columns of `frame` that are fields of configurations."""
        return frozenset(self.frame.attrs.get("config", ()))

    def with_excluded(self) -> "Results":
        """The same with all runs, as if no note left any out."""
        return replace(
            self, frame=self._all, excluded=None, notices=[], beside=self.beside and self.beside.with_excluded()
        )

    @cached_property
    def _all(self) -> pd.DataFrame:
        """The runs of `frame` and those that are left out, as they were recorded."""
        if self.excluded is None:
            return self.frame
        whole = pd.concat([part for part in (self.frame, self.excluded) if len(part)]).sort_index()
        whole.attrs["config"] = sorted({*self.config, *self.excluded.attrs.get("config", ())})
        return whole

    @property
    def finished(self) -> pd.DataFrame:
        """The runs that have results."""
        return self.frame[self.frame["status"] == FINISHED]

    @cached_property
    def settings(self) -> list[Setting]:
        """The settings, in the order of their first runs. What is found on the way goes into `notices`."""
        counts = self.frame["dataset"].value_counts(sort=False)
        if len(counts) > 1:
            spoken = ", ".join(f"{name} ({n} run{'s' * (n != 1)})" for name, n in counts.items())
            self.notices.append(f"results of {len(counts)} datasets, which are not compared with each other: {spoken}")
        found = [setting for part in _split(self._all, ("dataset", "data", "set")) for setting in self._by_way(part)]
        repeated = {title for title, n in Counter(setting.title for setting in found).items() if n > 1}
        return [
            replace(setting, title=f"{setting.title} ({i + 1})") if setting.title in repeated else setting
            for i, setting in enumerate(found)
        ]

    @cached_property
    def across(self) -> dict[str, Setting]:
        """The runs of all settings of each dataset, for questions whose arms are not in one of them.

        Of each experiment it has those of the setting with most seeds, of several the last.
        """
        by_dataset: dict[str, list[Setting]] = {}
        for setting in self.settings:
            by_dataset.setdefault(setting.dataset, []).append(setting)
        found = {}
        for dataset, settings in by_dataset.items():
            if len(settings) > 1:
                best: dict[str, pd.DataFrame] = {}
                for setting in settings:
                    for name, runs in setting.runs.groupby("experiment", sort=False):
                        if len(runs) >= len(best.get(str(name), ())):
                            best[str(name)] = runs
                planned = [plan for setting in settings for plan in setting.planned]
                runs = pd.concat(best.values()) if best else settings[0].runs
                ended, excluded = (pd.concat([getattr(s, rows) for s in settings]) for rows in ("ended", "excluded"))
                title, first = f"{dataset}, across settings", pd.concat([runs, ended, excluded]).iloc[0]
                found[dataset] = self._setting(title, first, runs, ended, excluded, planned)
        return found

    def _by_way(self, part: pd.DataFrame) -> Iterator[Setting]:
        """A setting, or one for each way in which the same experiments were run with the same seeds."""
        done = part[part["status"] == FINISHED]
        repeated = done[done["seed"].notna() & done.duplicated(["experiment", "seed"], keep=False)]
        ways = tuple(way for way in WAYS if way in repeated and repeated[way].nunique() > 1)
        for rows in _split(part, ways) if ways else [part]:
            is_out = rows.index.isin([] if self.excluded is None else self.excluded.index)
            ended = rows[(rows["status"] != FINISHED) & ~is_out]
            done = rows[(rows["status"] == FINISHED) & ~is_out]
            if "finished" in done:  # of a seed that is there twice the one that was recorded last counts
                done = done.loc[done["finished"].astype(str).sort_values(kind="stable").index]
            seeded = done["seed"].notna()
            again = done[seeded & done.duplicated(["experiment", "seed"], keep="last")]
            for _, run in again.iterrows():
                kept = done[(done["experiment"] == run["experiment"]) & (done["seed"] == run["seed"])].iloc[-1]
                self.notices.append(f"{_spoken(run)} is there twice: {run['run']} is left out, {kept['run']} counts")
            first = rows.iloc[0]
            planned = [p for p in self.plan if all(p.get(k) == first.get(k) for k in ("dataset", "data", "set"))]
            kept_runs = rows.loc[rows.index.isin(done.index.difference(again.index))]
            yield self._setting(_title(rows, ways), first, kept_runs, ended, rows[is_out], planned)

    def _setting(
        self,
        title: str,
        first: pd.Series,
        runs: pd.DataFrame,
        ended: pd.DataFrame,
        excluded: pd.DataFrame,
        planned: Sequence[Mapping[str, Any]],
    ) -> Setting:
        return Setting(
            title=title,
            dataset=first["dataset"],
            declared=declared_dataset(first),
            runs=runs,
            ended=ended,
            excluded=excluded,
            notes=self.notes,
            planned=planned,
            config=self.config,
            location=self.location,
            families=Families.of(pd.concat([runs, ended, excluded]), self.families),
        )


def searched(runs: pd.DataFrame) -> pd.Series:
    """Which runs are of a search (`only_A@21`), which has a table of its own."""
    return runs["experiment"].str.contains("@", regex=False)


def _read(
    read: Callable[[], list[dict[str, Any]]], notices: list[str], unreadable: dict[str, str]
) -> list[dict[str, Any]]:
    """The plan or the questions; nothing, and a notice, where the file is damaged or cannot be read."""
    try:
        return read()
    except LedgerError as error:
        notices.append(str(error))
    except UnreadableError as error:
        unreadable |= error.reasons
    return []


def _split(frame: pd.DataFrame, keys: Sequence[str]) -> list[pd.DataFrame]:
    present = [key for key in keys if key in frame]
    return [part for _, part in frame.groupby(present, sort=False, dropna=False)] if present else [frame]


def _title(rows: pd.DataFrame, ways: Sequence[str]) -> str:
    """What the runs of a setting have in common."""
    first = rows.iloc[0]
    parts = [str(first["dataset"])]
    if "imported" in rows and rows["imported"].notna().all():
        parts.append("imported")
    if "num_workers" in rows and rows["num_workers"].nunique() == 1:
        parts.append(f"{count(int(first['num_workers']), 'worker')} for each run")
    if "numerics" in ways:
        parts.append(f"version {first['numerics']} of the arithmetic")
    return ", ".join([*parts, *filter(None, [first.get("set")])])


def _spoken(run: Any) -> str:
    """What a message calls a record or a row."""
    seed = run["seed"]
    return f"{run['experiment']} {'without a seed' if seed is None or pd.isna(seed) else f'seed {seed}'}"
