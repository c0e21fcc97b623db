"""Takes imported results of the authors' own runs in place of planned runs that are the same."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from raysweep.ledger import FINISHED, Ledger, Record


def enter_known(ledger: Ledger, planned: Sequence[Record], *, imported: bool) -> None:
    """Enter under their planned names the results that there are, of other experiments and, if asked for, imported."""
    ledger.adopt(planned)
    if imported:
        for line in accept_imported(ledger, planned):
            print(line)


def accept_imported(ledger: Ledger, planned: Sequence[Record]) -> Iterator[str]:
    """Enter imported results under the names of the planned runs that they equal. Yields a line about each.

    Two runs are the same if dataset, number of workers, seed and configuration agree, fields without effect aside. An
    imported run that names no seed stands for the run of an experiment that is planned with a single one.
    """
    records = list(ledger.records())
    there = {record["run"] for record in records if record["status"] == FINISHED}
    imported = [record for record in records if record.get("imported") and "same_as" not in record]
    seeds = Counter(plan["experiment"] for plan in planned)
    for plan in planned:
        if plan["run"] in there:
            continue
        name = f"{plan['experiment']} seed {plan['seed']}"
        candidates = [
            r for r in imported if r["seed"] == plan["seed"] or (r["seed"] is None and seeds[plan["experiment"]] == 1)
        ]
        differences = [(differing(record, plan), record) for record in candidates]
        fits = [record for different, record in differences if not different]
        if fits:
            done = fits[0]
            more = f", one of {len(fits)} such" if len(fits) > 1 else ""
            yield f"accepted for {name}: {done['run']} (imported{more})"
            ledger.write({**done, **plan, "attempt": None, "same_as": done["run"]})
        elif near := min(differences, key=lambda found: len(found[0]), default=None):
            how = ", ".join(f"{field} {theirs}, not {ours}" for field, (theirs, ours) in near[0].items())
            if len(near[0]) <= MOST_DIFFERENCES:
                yield f"not accepted for {name}: {near[1]['run']} has {how}"


MOST_DIFFERENCES = 3
"""An imported run that differs from a planned one in more fields than this is not spoken of."""


def differing(record: Record, plan: Record) -> dict[str, tuple[Any, Any]]:
    """The fields in which an imported and a planned run differ, the seed aside, as name -> (imported, planned)."""
    without_effect = {*plan["no_effect"], "seed"}
    pairs = {name: (record["config"].get(name), value) for name, value in plan["config"].items()}
    pairs |= {name: (record[name], plan[name]) for name in ("dataset", "num_workers")}
    return {n: (theirs, ours) for n, (theirs, ours) in pairs.items() if n not in without_effect and theirs != ours}
