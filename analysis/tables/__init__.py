"""Tables: those that every sweep has, and those of single families."""
