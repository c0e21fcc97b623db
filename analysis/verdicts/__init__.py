"""The answers: what each rests on, what would settle it, and how it is said."""
