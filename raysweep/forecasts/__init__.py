"""A sweep before it runs: how large its runs are, what they need and how long they will take. Neither torch nor Ray."""
