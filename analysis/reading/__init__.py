"""From a results folder, or the authors' files, to runs that may be compared."""
