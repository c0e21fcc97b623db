"""Run a sweep: arguments -> plan -> run -> answers.

    python run_sweep.py --list
    python run_sweep.py --group depth
    python run_sweep.py --group cifar --only '3b_*_s10' --data-dir ~/data/cifar10 --seeds 42,43

Rerunning a command is how one resumes: finished runs are skipped, interrupted ones go on from their checkpoint.
"""

import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from raysweep.experiment import Allocation, Search, Situation
from raysweep.ledger import LedgerError
from raysweep.live import open_closed_streams, watch_sweep
from raysweep.messages import PlanError
from raysweep.planning import datasets_of, families_of, help_text, listed, parse_options, tidy
from raysweep.running import end_process
from raysweep.session import Hooks, sweep
from search_spaces import families
from trainables.cli import parse_values


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 where runs failed or Ray was lost, 2 for wrong input.

    After Ctrl-C it is 130, after SIGTERM 143, after SIGHUP 129.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        options = parse_options(argv)
        if options.status:
            watch_sweep(options.results)
            return 0
        if options.serve:
            from raysweep.live import serve

            serve(options.results, options.port, report_command)
            return 0
        if options.help:
            print(help_text(__doc__, datasets_of(options, families_of(options, families))), end="")
            return 0
        if options.list:
            print(*listed(families_of(options, families)), sep="\n")
            return 0
        if options.tidy:
            print(*tidy(options, families), sep="\n")
            return 0
        return sweep(options, argv, HOOKS)
    except (PlanError, LedgerError) as error:
        fail(error)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a results folder of another user
        fail(error, code=1)
    except KeyboardInterrupt:  # before anything was started
        return 130


def fail(message: object, code: int = 2) -> NoReturn:
    """End the program with one line on stderr."""
    print("error:", "\\n".join(str(message).splitlines()), file=sys.stderr)
    raise SystemExit(code)


def next_step(
    search: Search, target: float, results: Mapping[float, Sequence[float]], start: float, most_runs: int
) -> tuple[float, int] | None:
    """At which value a search needs how many runs in all; None where it is over."""
    from analysis import threshold

    step = threshold.next_step(search, target, results, start, most_runs)
    return (step.value, step.n) if isinstance(step, threshold.Request) else None


def next_seeds(situation: Situation) -> Allocation:
    """What a sweep runs next that goes on until its questions are answered, and what is to be expected of it."""
    from analysis import seeding

    return seeding.next_seeds(situation)


def print_answers(location: str, runs: Sequence[str]) -> None:
    """Print what the results of the runs say."""
    from analysis import terminal

    terminal.print_answers(location, list(runs))


def report_command(location: str) -> list[str]:
    """The command that refreshes the report of the results at a location, in a process of its own."""
    return [sys.executable, "-m", "analysis.report.live", location]


HOOKS = Hooks(
    families=families,
    parse_values=parse_values,
    next_step=next_step,
    next_seeds=next_seeds,
    print_answers=print_answers,
    report_command=report_command,
)


def command() -> NoReturn:
    """`raysweep`, as a wheel installs it, and `python run_sweep.py`."""
    open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files, as of --data-dir, may hold any byte
    code: int | str | None
    try:
        code = main()
    except SystemExit as error:
        code = error.code
    except BrokenPipeError:  # `raysweep --list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    end_process(code)


if __name__ == "__main__":
    command()
