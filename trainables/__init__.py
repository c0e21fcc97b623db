"""What a run does: plain PyTorch, the same code in one process, under torchrun and under Ray.

Each trainable is a package that exports `check(config, num_workers)`, facts about a run, which raises `ValueError` for
what cannot run, and `train(config)`, a generator of reports. For plans it may also export `cost`, its operations and
memory, `measure`, its speed, `position`, where it goes on, `command`, the same run for a shell, and `remedies`, what
needs less memory. What each gets and gives stands in raysweep/trainable.py. Nothing in here imports Ray or raysweep.
"""
