"""What a run does: plain PyTorch, the same code in one process, under torchrun and under Ray.

Each trainable is a package that exports two functions: `check(config, num_workers)` returns facts about a run and
raises ValueError for one that cannot be, and `train(config)` is a generator of reports. It may also export `cost` (the
run's operations and memory), `measure` (its speed), `position` (where it goes on), `command` (the same run for a shell)
and `remedies` (ways to need less memory). raysweep/trainable.py says what each of them gets and returns. Nothing in
here imports Ray or raysweep.
"""
