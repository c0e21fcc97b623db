"""What a run does: plain PyTorch, the same code in one process, under torchrun and under Ray.

Each trainable is a package that exports `check(config, num_workers)`, facts about a run, which raises `ValueError` for
what cannot run, and `train(config)`, a generator of reports. For plans it may also export `cost`, its operations and
memory, `measure`, its speed, `position`, where it goes on, and `command`, the same run for a shell. Nothing in here
imports Ray or raysweep.
"""
