"""Run a sweep: arguments -> plan -> run -> answers.

    python run_sweep.py --list
    python run_sweep.py --group depth --plan
    python run_sweep.py --group all --data-dir ~/data/imagenet
    python run_sweep.py --group cifar --only '3b_*_s10' --seeds 42,43
    python run_sweep.py --group cifar --grid n_blocks=2,3 L=4,8 train_size=0.1

Rerunning a command is how one resumes: finished runs are skipped, interrupted
ones go on from their checkpoint.
"""

import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from raysweep.experiment import Allocation, Search, Situation
from raysweep.ledger import LedgerError
from raysweep.live import open_closed_streams
from raysweep.messages import PlanError
from raysweep.planning import datasets_of, families_of, help_text, listed, parse_options, tidy
from raysweep.running import end_process
from search_spaces import families

if TYPE_CHECKING:
    from raysweep.session import Hooks


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 where runs failed or Ray was lost, 2 for wrong input.

    After Ctrl-C it is 130, after SIGTERM 143, after SIGHUP 129.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        options = parse_options(argv)
        if options.status:
            from raysweep.live import watch_sweep

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
            print(*listed(families_of(options, families), options.group), sep="\n")
            return 0
        if options.tidy:
            print(*tidy(options, families), sep="\n")
            return 0
        from raysweep.session import sweep  # only here, as --list and --help need nothing but Python itself

        return sweep(options, argv, hooks())
    except (PlanError, LedgerError) as error:
        fail(error)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a results folder of another user
        fail(error, code=1)
    except ModuleNotFoundError as error:  # a machine on which results are read, and nothing is trained
        if not (package := lacking_package(error)):
            raise
        fail(
            f"{package} is not installed here; what trains or plans needs all that raysweep depends on (`pip install "
            "-e .` in a checkout, or the wheel without --no-deps); `python -m analysis` reads results without"
        )
    except KeyboardInterrupt:  # before anything was started
        return 130


OWN = ("raysweep", "search_spaces", "trainables", "analysis")
"""The packages of the project."""


def lacking_package(error: ModuleNotFoundError) -> str:
    """The package that an import did not find, as pip calls it; "" where it is no package of others."""
    module = (error.name or "").partition(".")[0]
    return "" if module in OWN else {"sklearn": "scikit-learn"}.get(module, module)


def fail(message: object, code: int = 2) -> NoReturn:
    """End the program with one line on stderr."""
    print("error:", "\\n".join(str(message).splitlines()), file=sys.stderr)
    raise SystemExit(code)


def parse_values(config: type[Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Convert the values of --set and --grid to the types of a configuration's fields."""
    from trainables import cli

    return cli.parse_values(config, values)


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


def hooks() -> "Hooks":
    """What a sweep needs of families, of values on the command line, and of the analysis."""
    from raysweep.session import Hooks

    return Hooks(
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
