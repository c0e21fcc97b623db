"""The table of all answers."""

from collections.abc import Sequence
from typing import Any

from analysis.tables.table import Column, Table
from analysis.verdicts.scale import signed
from analysis.verdicts.sensitivity import Sensitivity
from analysis.verdicts.verdict import Verdict


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
    low_images, high_images = (v.over_images and v.over_images.interval) or (None, None)
    return {
        **{"question": v.question, "text": v.text, "kind": v.kind, "setting": v.setting, "metric": v.metric},
        **{"arm": v.arm, "baseline": v.baseline, "answer": v.answer, "size": v.size},
        "reason": v.reason,
        **{"estimate": v.estimate, "ci95_lo": low, "ci95_hi": high, "std": v.std, "n": v.n},
        **{"ci95_images_lo": low_images, "ci95_images_hi": high_images},
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
        **_sensitivity(v),
        **_pooled(v),
        **{"flags": "; ".join(v.flags), "lost": "; ".join(v.lost)},
        **{"noted": "; ".join(v.noted), "left_out": "; ".join(v.left_out)},
        "answer_with_left_out": v.with_left_out.answer if v.with_left_out else v.answer,
        "more_seeds": v.needed.seeds if v.needed else None,
        "more_hours": v.needed.hours if v.needed else None,
        "more_command": v.needed.command if v.needed else "",
        **{"isolated_by": v.isolated_by, "runs": " ".join(v.runs)},
        "shown_estimate": signed(v, v.estimate) if v.estimate is not None else "",
        "shown_interval": " .. ".join(signed(v, end) for end in v.interval or ()),
    }


def _sensitivity(v: Verdict) -> dict[str, Any]:
    """What other tests of the same values say, for a fixed n and not corrected."""
    found = v.sensitivity or Sensitivity()
    m, unpaired = found.moderated, found.unpaired
    r, (r_low, r_high) = found.correlation or (None, (None, None))
    return {
        **{"p_moderated": m and m.p, "moderated_df": m and m.degrees, "d0": m and m.d0, "s0": m and m.s0},
        "moderated_ci95_lo": m and m.interval[0],
        "moderated_ci95_hi": m and m.interval[1],
        "moderated_cells": m and m.cells,
        "p_unpaired": unpaired and unpaired.p,
        "unpaired_ci95_lo": unpaired and unpaired.interval[0],
        "unpaired_ci95_hi": unpaired and unpaired.interval[1],
        **{"correlation": r, "correlation_ci95_lo": r_low, "correlation_ci95_hi": r_high},
    }


def _pooled(v: Verdict) -> dict[str, Any]:
    """How much the cells of a grid differ, and which stand out."""
    pooled = v.pooled
    h = pooled and pooled.heterogeneity
    return {
        "cells": pooled and pooled.cells,
        "cells_above_zero": pooled and pooled.above,
        "tau": h and h.tau,
        "i2": h and h.share,
        "p_heterogeneity": h and h.p,
        "prediction95_lo": pooled and pooled.prediction[0],
        "prediction95_hi": pooled and pooled.prediction[1],
        "cells_that_differ": "; ".join(f"{name} {away:+.4g}" for name, (away, _) in pooled.differing.items())
        if pooled
        else "",
    }
