"""What the results mean: tables and comparisons from a results folder. Imports neither torch nor Ray."""
