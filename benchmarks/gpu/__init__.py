"""Measures training on a GPU against plain forms of the same work (see `__main__`)."""
