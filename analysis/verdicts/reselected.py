"""What would be answered without the choice of the best epoch: the same tests of the mean over the last five."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from analysis.comparison.selection import selected_of
from analysis.verdicts.decisions import Decision, decide
from analysis.verdicts.uncorrected import UncorrectedTest, uncorrected_tests


def without_selection(
    tests: Sequence[UncorrectedTest], decisions: Sequence[Decision], beside: Sequence[UncorrectedTest]
) -> Iterator[tuple[UncorrectedTest, Decision] | None]:
    """For each test, that of the mean over the last five epochs and its decision, where its answer is another.

    The tests of a family are corrected together as before, with those `beside` them and of metrics that are no choice
    as they are.
    """
    others = [_of_last_epochs(test) or test for test in tests]
    if all(other is test for other, test in zip(others, tests, strict=True)):
        yield from [None] * len(tests)
        return
    decided = decide([*others, *beside])[: len(others)]
    for test, other, before, after in zip(tests, others, decisions, decided, strict=True):
        changed = other is not test and (after.answer, after.size) != (before.answer, before.size)
        yield (other, after) if changed else None


def _of_last_epochs(test: UncorrectedTest) -> UncorrectedTest | None:
    """The same test of the mean over the last five epochs; None where there is no choice, or no such mean."""
    contrast, declared = test.contrast, test.setting.families.confounds.selected
    selected = selected_of(contrast.metric, declared)
    if not contrast.values or selected is None or contrast.metric != selected.metrics[0]:
        return None
    rows = [part for part in (contrast.rows or {}).values() if selected.images in part]
    if not any((part[selected.images] == selected.tested).any() for part in rows):
        return None
    asked = replace(test.asked, question=replace(test.question, metrics=(selected.last,)))
    found = [other for other in uncorrected_tests(asked, test.setting) if other.contrast.arm == contrast.arm]
    return found[0] if found and found[0].contrast.seeds == contrast.seeds else None
