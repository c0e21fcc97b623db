"""Trains the runs of a trial in a worker, one after the other or side by side, and records how each ends."""

import contextlib
import dataclasses
import gc
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray.train
import ray.train.collective

from raysweep.ledger import FAILED, FINISHED, STOPPED, Ledger
from raysweep.reports import Report, ResultReport
from raysweep.running.recording import record_result
from raysweep.running.spec import Attempt, WorkerSpec, end_report
from raysweep.trainable_loader import HANDED_ON, LAST, LoadedTrainable, load_trainable


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Runs of a trial that are trained at the same time; most groups consist of one run."""

    spec: WorkerSpec
    attempts: Sequence[Attempt]

    @property
    def trainable(self) -> LoadedTrainable:
        """The trainable of its runs."""
        return load_trainable(self.attempts[0].run.experiment.trainable)

    def prepare(self) -> None:
        """Import what training needs."""
        _ = self.trainable.train if len(self.attempts) == 1 else self.trainable.train_side_by_side

    def train(self, ledger: Ledger, *, left: int) -> bool:
        """Train and record, after which `left` runs of the trial are still to come. Returns whether one was stopped."""
        started, unended, stopped = time.time(), len(self.attempts), False
        with contextlib.ExitStack() as stack:
            at_work = [stack.enter_context(contextlib.ExitStack()) for _ in self.attempts]
            for attempt, while_at_work in zip(self.attempts, at_work, strict=True):
                while_at_work.enter_context(self._at_work(attempt, ledger))
            for number, report in self._reports():
                attempt = self.attempts[number]
                if report["event"] in HANDED_ON:
                    ray.train.report({**report, "run": attempt.run.name})
                elif report["event"] == "result":
                    at_work[number].close()
                    unended -= 1
                    self._record(attempt, report, ledger, started, left=left + unended)
                elif report["event"] == "stopped":
                    at_work[number].close()
                    stopped = True
                    report_end(attempt.run.name, STOPPED, "stopped with a checkpoint", left=left + unended)
        return stopped

    def _reports(self) -> Iterator[tuple[int, Report]]:
        """The reports of its runs, each with the run's number."""
        configs = [attempt.run.config for attempt in self.attempts]
        if len(configs) > 1:
            yield from self.trainable.train_side_by_side(configs)
            return
        last: list[Report] = []  # is handed on when training has come to its end
        for report in self.trainable.train(configs[0]):
            if report["event"] in LAST:
                last.append(report)
            else:
                yield 0, report
        yield from ((0, report) for report in last)

    def _at_work(self, attempt: Attempt, ledger: Ledger) -> contextlib.AbstractContextManager[Any]:
        context = ray.train.get_context()
        return ledger.runs.at_work(
            attempt.run.name,
            context.get_world_rank(),
            checkpoint=self.trainable.traits.checkpoints,
            first_here=context.get_local_rank() == 0,
            meet=ray.train.collective.barrier,
        )

    def _record(self, attempt: Attempt, report: ResultReport, ledger: Ledger, started: float, *, left: int) -> None:
        """Record a result, and report that its run has ended, after which `left` runs are still to come."""
        main, name, traits = ray.train.get_context().get_world_rank() == 0, attempt.run.name, self.trainable.traits
        said, beside = None, ""
        if main:
            said, beside = record_result(self.spec.trial, attempt, report, started, self.spec.restarts)
        if main and not said and not attempt.run.keep_last:
            with contextlib.suppress(OSError):  # `--tidy` can remove it later
                ledger.runs.tidy(name, traits.checkpoints, traits.kept)
        seconds = report["results"].get("seconds", time.time() - started)
        if not left:
            _let_go_of_memory()
        if said:
            report_end(name, FAILED, said, left=left)
        else:
            report_end(name, FINISHED, f"finished, {seconds:.0f} s of training{beside}", left=left)


def in_groups(spec: WorkerSpec) -> list[Group]:
    """The runs of a trial in the order in which they are trained.

    On a GPU of one worker, those whose times are of no use are one group if their trainable can do that, the last one.
    """
    first = spec.attempts[0].run
    together: list[Attempt] = []
    one_gpu = first.num_workers == 1 and "GPU" in spec.trial.per_worker
    if one_gpu and first.experiment.timed and load_trainable(first.experiment.trainable).has("train_side_by_side"):
        together = [one for one in spec.attempts if not one.run.experiment.has_times(one.run.config.seed)]
        together = [one for one in together if _differs_in_seed_alone(one, together[0])]
    alone = [one for one in spec.attempts if one not in together]
    groups = [*([one] for one in alone), *([together] if together else [])]
    return [Group(spec=spec, attempts=group) for group in groups]


def report_end(run: str, status: str, text: str, *, left: int) -> None:
    """Report how a run has ended; `left` runs of this trial are still to come."""
    ray.train.report(dict(end_report(run, status, text, left=left)))


def _differs_in_seed_alone(one: Attempt, other: Attempt) -> bool:
    config, same = one.run.config, other.run.config
    return bool(dataclasses.replace(config, seed=same.seed, save_dir=same.save_dir) == same)


def _let_go_of_memory() -> None:
    """Free the memory that training has used, since the next trial begins before this process has ended."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
