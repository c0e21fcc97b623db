"""The tables and answers of a results folder, in the terminal and, with --out, as files and a report.

python -m analysis RESULTS [--out DIR]
python -m analysis RESULTS --cite               a paragraph for the methods of a paper, and a BibTeX entry
python -m analysis import RESULTS SOURCE...     take in results_*.json of the original train.py, and results.json
                                                  of runs without Ray (python -m trainables.airbench)
python -m analysis note RESULTS [RUN] [REASON]  note something on a run, leave it out, or list what was noted
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from raysweep.ledger import LedgerError, open_ledger

NEEDED = "pandas pyarrow scipy matplotlib rich"
"""What reading results takes; fsspec, too, for those in an object store."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; exit code 2 for a folder without results, 1 where files cannot be read or written."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["import"]:
            return take_in(arguments[1:])
        if arguments[:1] == ["note"]:
            return take_note(arguments[1:])
        return show(arguments)
    except (LedgerError, FileNotFoundError, NotADirectoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] in ("analysis", "raysweep"):
            raise
        print(
            f"error: {error.name} is not installed here; results are read with `pip install {NEEDED}`", file=sys.stderr
        )
        return 2
    except OSError as error:  # a full disk, a folder of another user
        print(f"error: {error}", file=sys.stderr)
        return 1


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("names no folder")
    return Path(text)


def show(arguments: Sequence[str]) -> int:
    """Print the tables and answers, and with --out leave the report."""
    parser = _Parser(prog="python -m analysis", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", metavar="RESULTS", help="a results folder of run_sweep.py, or its URL")
    parser.add_argument(
        "--out", metavar="DIR", type=_folder, help="folder for report.html, report.md, tables and plots"
    )
    parser.add_argument(
        "--cite", action="store_true", help="print what a methods section has to say, and a BibTeX entry, instead"
    )
    args = parser.parse_args(arguments)
    if args.cite and args.out:
        parser.error("--cite prints a paragraph, and goes without --out")
    require_results(args.results)
    from analysis.reading.results import Results
    from analysis.terminal import print_results
    from analysis.verdicts.answers import verdicts
    from analysis.verdicts.looks import looked_at

    if args.out:
        if args.out.exists() and not args.out.is_dir():
            raise NotADirectoryError(f"--out {args.out} is not a folder")
        args.out.mkdir(parents=True, exist_ok=True)
    results = Results.read(args.results)
    if args.cite:
        from analysis.citing import citation

        print(citation(results))
    else:
        answers = looked_at(open_ledger(args.results), verdicts(results))
        print_results(results, answers=answers)
    if args.out:
        from analysis.report.page import write_report

        print(f"report: {write_report(results, answers, args.out)}")
    if results.unreadable:
        named = f"{results.unreadable[0]}{' and others' * (len(results.unreadable) > 1)}"
        print(f"error: {named} cannot be read; what was printed leaves it out", file=sys.stderr)
    return int(bool(results.unreadable))


def take_in(arguments: Sequence[str]) -> int:
    """Import result files of runs that no sweep made."""
    said = (
        "Take in results_*.json of the original train.py, and results.json of `python -m trainables.airbench` and such."
    )
    parser = _Parser(prog="python -m analysis import", description=said)
    parser.add_argument("results", metavar="RESULTS", help="the results folder, which is made if need be")
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help="result files, or folders that hold some")
    args = parser.parse_args(arguments)
    from analysis.reading.importing import import_results

    done = import_results(open_ledger(args.results), args.sources)
    for line in done.skipped:
        print(line, file=sys.stderr)
    there = f", {done.already_there} there already" if done.already_there else ""
    skipped = f", {len(done.skipped)} skipped" if done.skipped else ""
    print(f"{done.records} imported{there}{skipped}; results in {args.results}")
    return 0 if done.records or done.already_there else 2


def take_note(arguments: Sequence[str]) -> int:
    """Note something on a run, or list what was noted."""
    parser = _Parser(prog="python -m analysis note", description="Note something on a run, or list what was noted.")
    parser.add_argument("results", metavar="RESULTS", help="the results folder, or its URL")
    parser.add_argument("run", metavar="RUN", nargs="?", help="such as C-s42, or its name with the hash behind it")
    parser.add_argument("reason", metavar="REASON", nargs="?", help="what is to be known; without it, what was noted")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--exclude", action="store_const", const=True, help="leave the run out of answers and tables")
    what.add_argument("--include", action="store_const", const=False, dest="exclude", help="take it back")
    args = parser.parse_args(arguments)
    if args.exclude is not None and not args.reason:
        parser.error(f"--{'exclude' if args.exclude else 'include'} needs a RUN and a REASON")
    require_results(args.results)
    from analysis.reading.notes import add_note, left_out, named_run, read_notes, sound_notes

    ledger = open_ledger(args.results)
    notices: list[str] = []
    notes = sound_notes(read_notes(ledger), notices)
    try:
        run = args.run and named_run(args.run, list(ledger.readable_records()))
        if args.reason is None:
            print(*notices, *(note for note in notes if run in (None, note.run)), sep="\n")
            return 0
        if args.exclude is False and run not in left_out(notes):
            raise ValueError(f"{run} is not left out")
        print(add_note(ledger, run, args.reason, args.exclude))
    except ValueError as error:
        parser.error(str(error))
    return 0


def require_results(location: str) -> None:
    """Raises FileNotFoundError, in one line, where there are no results of a sweep."""
    ledger = open_ledger(location)
    if ledger.has_records():
        return
    folder = Path(location)
    if "://" in location:
        raise FileNotFoundError(f"{location} holds no results of a sweep")
    if not folder.exists():
        raise FileNotFoundError(f"{location} does not exist")
    if not folder.is_dir():
        raise FileNotFoundError(f"{location} is not a folder")
    there = sorted(path.name for path in folder.iterdir())
    if not there:
        raise FileNotFoundError(f"{location} is empty: no results of a sweep")
    if any(folder.rglob("results_*.json")) or any(folder.rglob("results.json")):
        how = f"`python -m analysis import RESULTS {location}` takes them in"
        raise FileNotFoundError(f"{location} holds result files of runs that no sweep made; {how}")
    named = f"{', '.join(there[:3])}{', ...' * (len(there) > 3)}"
    raise FileNotFoundError(f"{location} holds no results of a sweep (no folder records/, but {named})")


if __name__ == "__main__":
    sys.exit(main())
