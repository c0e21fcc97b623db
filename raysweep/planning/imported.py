"""Takes results that exist already, such as imported ones of the authors, in place of planned runs that equal them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from raysweep.ledger import FINISHED, Ledger, Record, data_set_of


def enter_known(ledger: Ledger, planned: Sequence[Record], *, imported: bool) -> None:
    """Enter existing results of equal runs under the planned names: other experiments' and, if asked, imported ones."""
    ledger.adopt(planned)
    if imported:
        for line in accept_imported(ledger, planned):
            print(line)


def accept_imported(ledger: Ledger, planned: Sequence[Record]) -> Iterator[str]:
    """Enter imported results under the names of the planned runs that they equal. Yields a line about each.

    Two runs are the same if dataset, number of workers, seed and configuration agree, ignoring fields that
    cannot change numbers. An imported run without a seed equals the run of an experiment planned with a single seed.
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
"""An imported run is not mentioned if it differs from the planned one in more fields than this."""


def differing(record: Record, plan: Record) -> dict[str, tuple[Any, Any]]:
    """The fields in which an imported and a planned run differ, except the seed, as name -> (imported, planned)."""
    without_effect = {*plan["no_effect"], "seed"}
    pairs = {name: (record["config"].get(name), value) for name, value in plan["config"].items()}
    pairs |= {
        "dataset": (data_set_of(record), data_set_of(plan)),
        "num_workers": (record["num_workers"], plan["num_workers"]),
    }
    return {n: (theirs, ours) for n, (theirs, ours) in pairs.items() if n not in without_effect and theirs != ours}
