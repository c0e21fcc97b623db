"""A sweep while it runs: its state, how long it will still take, and what people see of it."""
