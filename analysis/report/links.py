"""Where in a report an answer stands."""

import hashlib
import re

from analysis.verdicts.verdict import Verdict


def anchor(v: Verdict) -> str:
    """The id of an answer, the same each time that the report is written."""
    told = f"{v.question} {v.metric} {v.arm}"
    known = hashlib.sha256(f"{told} {v.baseline} {v.setting}".encode()).hexdigest()[:6]
    return f"{re.sub(r'[^a-zA-Z0-9]+', '-', told).strip('-')[:60]}-{known}"
