"""Reads a results folder, or the authors' files, into runs that may be compared."""
