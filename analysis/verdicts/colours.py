"""The colours that answers are written in, the same in reports and notebooks, and for eyes that see few colours."""

from analysis.verdicts.verdict import EQUIVALENT, NO, OPEN, REFUSED, UNDECIDED, YES

COLOURS = {YES: "#0072b2", NO: "#b34700", EQUIVALENT: "#007a59", UNDECIDED: "#5f6368", REFUSED: "#a0457d", OPEN: "#999"}
"""The colour of the text of each answer on white: those of Okabe and Ito, darker where a text could not be read."""
