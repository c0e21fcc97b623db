"""The table of all answers."""

from collections.abc import Sequence
from typing import Any

from analysis.tables.table import Column, Table
from analysis.verdicts.verdict import Verdict
from analysis.verdicts.wording import signed


def comparisons_table(answers: Sequence[Verdict]) -> Table:
    """Every verdict with its numbers."""
    rows = [_row(v) for v in answers]
    return Table.of(
        rows,
        name="comparisons",
        title="Comparisons",
        columns=(
            Column(name="question", heading="question"),
            Column(name="metric", heading="metric"),
            Column(name="arm", heading="arm", wrap=True),
            Column(name="baseline", heading="baseline"),
            Column(name="answer", heading="answer"),
            Column(name="shown_estimate", heading="difference"),
            Column(name="shown_interval", heading="95 % interval"),
            Column(name="n", heading="n", form="n"),
            Column(name="p_holm", heading="p, Holm", form="p"),
            Column(name="p_sign_flip", heading="sign-flip", form="p"),
            Column(name="setting", heading="setting", wrap=True),
        ),
        note="Arm less baseline, of times and speeds arm over baseline less 1; paired by seed. "
        "Intervals and p hold at any look.",
    )


def _row(v: Verdict) -> dict[str, Any]:
    low, high = v.interval or (None, None)
    low_fixed, high_fixed = v.interval_fixed or (None, None)
    return {
        **{"question": v.question, "text": v.text, "kind": v.kind, "setting": v.setting, "metric": v.metric},
        **{"arm": v.arm, "baseline": v.baseline, "answer": v.answer, "size": v.size},
        "reason": v.reason,
        **{"estimate": v.estimate, "ci95_lo": low, "ci95_hi": high, "std": v.std, "n": v.n},
        **{"effect_size": v.effect_size, "superiority": v.superiority},
        "answer_last5": v.last_epochs.answer if v.last_epochs else v.answer,
        "equal": v.equal,
        "mean_arm": (v.means or {}).get(v.arm),
        "mean_baseline": (v.means or {}).get(v.baseline),
        **{"p_value": v.p, "p_holm": v.p_corrected, "family": v.family, "tests": v.tests},
        **{"test_fixed_n": v.test, "p_fixed_n": v.p_fixed},
        **{"ci95_fixed_n_lo": low_fixed, "ci95_fixed_n_hi": high_fixed},
        **{"p_sign_flip": v.p_sign_flip, "p_sign_flip_least": v.p_sign_flip_least},
        **{"p_matters": v.p_matters, "p_equivalent": v.p_equivalent},
        **{"smallest_effect": v.matters, "relative": v.relative},
        **{"flags": "; ".join(v.flags), "lost": "; ".join(v.lost)},
        "more_seeds": v.needed.seeds if v.needed else None,
        "more_hours": v.needed.hours if v.needed else None,
        "more_command": v.needed.command if v.needed else "",
        **{"isolated_by": v.isolated_by, "runs": " ".join(v.runs)},
        "shown_estimate": signed(v, v.estimate) if v.estimate is not None else "",
        "shown_interval": " .. ".join(signed(v, end) for end in v.interval or ()),
    }
