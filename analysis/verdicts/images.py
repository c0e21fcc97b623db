"""How answers say what they are over test images as well."""

from collections import Counter
from collections.abc import Sequence

from analysis.numbers import count, written
from analysis.verdicts.verdict import Verdict


def over_images_said(v: Verdict) -> str:
    """`over seeds and 10,000 test images [+0.10, +1.31]`; "" where there is no such interval."""
    if not v.over_images or not v.over_images.interval:
        return ""
    low, high = (written(end, "+") for end in v.over_images.interval)
    return f"over seeds and {v.over_images.n_images:,} test images [{low}, {high}]"


def without_images(answers: Sequence[Verdict]) -> str:
    """A line on the answers of several seeds that have no such interval, and why; "" where all have that could."""
    reasons = Counter(v.over_images.missing for v in answers if v.n > 1 and v.over_images and v.over_images.missing)
    if not reasons:
        return ""
    said = "; ".join(f"{count(n, 'answer')} ({reason})" for reason, n in reasons.items())
    return f"No interval over test images: {said}."
