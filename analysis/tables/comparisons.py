"""The table of all answers."""

from collections.abc import Sequence

from analysis.tables.table import Column, Table
from analysis.verdicts.verdict import Verdict
from analysis.verdicts.wording import signed


def comparisons_table(answers: Sequence[Verdict]) -> Table:
    """Every verdict with its numbers."""
    rows = []
    for v in answers:
        low, high = v.interval or (None, None)
        over_images = (v.over_images and v.over_images.interval) or (None, None)
        rows.append(
            {
                **{"question": v.question, "text": v.text, "kind": v.kind, "setting": v.setting, "metric": v.metric},
                **{"arm": v.arm, "baseline": v.baseline, "answer": v.answer, "reason": v.reason},
                **{"estimate": v.estimate, "ci95_lo": low, "ci95_hi": high, "std": v.std, "n": v.n},
                **{"ci95_images_lo": over_images[0], "ci95_images_hi": over_images[1]},
                "equal": v.equal,
                "mean_arm": (v.means or {}).get(v.arm),
                "mean_baseline": (v.means or {}).get(v.baseline),
                **{"test": v.test, "p_value": v.p, "p_holm": v.p_corrected, "family": v.family, "tests": v.tests},
                **{"p_sign_flip": v.p_sign_flip, "p_sign_flip_least": v.p_sign_flip_least},
                **{"p_equivalent": v.p_equivalent, "smallest_effect": v.matters, "relative": v.relative},
                **{"flags": "; ".join(v.flags), "lost": "; ".join(v.lost)},
                "more_seeds": v.needed.seeds if v.needed else None,
                "more_hours": v.needed.hours if v.needed else None,
                "more_command": v.needed.command if v.needed else "",
                **{"isolated_by": v.isolated_by, "runs": " ".join(v.runs)},
                "shown_estimate": signed(v, v.estimate) if v.estimate is not None else "",
                "shown_interval": " .. ".join(signed(v, end) for end in v.interval or ()),
            }
        )
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
        note="Arm less baseline, of times and speeds arm over baseline less 1; paired by seed.",
    )
