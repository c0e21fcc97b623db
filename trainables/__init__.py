"""What a run does: plain PyTorch, the same code in one process, under torchrun and under Ray.

Each trainable is a package that exports `check(config, num_workers)`, which raises `ValueError` for what cannot run,
`cost(config, num_workers, device)`, its operations and memory, and `train(config)`, a generator of reports. Nothing in
here imports Ray or raysweep.
"""
