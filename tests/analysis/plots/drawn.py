"""Settings to draw, and what a renderer says of the texts of a figure."""

import itertools

from matplotlib.text import Text

from analysis.plots.style import renderer_of
from analysis.reading.results import Results
from tests.analysis.sweeps import frame, record


def architecture(n_blocks, L, modulus="complex_modulus", **more):
    """The fields of a configuration that a label says."""
    return {"n_blocks": n_blocks, "L": L, "modulus_type": modulus, "mixing_horizon": None, "kernel_size": 5, **more}


def run(name, seed, config, accuracy, *, random=False, size=1.0, curves=None, **more):
    """A run of the scattering family, wavelets in two phases or random init trained jointly."""
    own = {"joint_acc": accuracy} if random else {"finetune_acc": accuracy, "head_acc": accuracy - 9}
    own |= {} if random else {"finetune_gain": 9.0 + seed / 10, "filter_delta_relative": 0.5 + size}
    changed = more.pop("changed", {})
    fields = {**config, "random_init": random, "joint": random, "train_size": size, "l2_penalty": 0.0, "val_split": 0.0}
    row = record(
        f"{name}{'_rand' * random}_s{100 * size:g}",
        seed,
        dataset="cifar10",
        config={**fields, **changed},
        **{**own, "final_acc": accuracy, "actual_train_samples": 50_000 * size, **more},
    )
    return {**row, "no_effect": ["l2_penalty"] if random else [], "curves": curves or {}}


def many_architectures(n=36, sizes=(0.1, 1.0), seeds=(0,)):
    """Runs of so many architectures, wavelets and random init."""
    shapes = [
        (n_blocks, L, modulus)
        for n_blocks in (2, 3, 4)
        for L in (2, 4, 6, 8, 12, 16)
        for modulus in ("complex_modulus", "phase_relu")
    ]
    return [
        run(
            f"{n_blocks}b_{modulus}_L{L}",
            seed,
            architecture(n_blocks, L, modulus),
            50 + 20 * size + i / 7 + random + seed / 3,
            random=random,
            size=size,
            curves=curves(30 + i % 3, random=random, level=30 + i / 2 + 10 * size),
            n_params_total=1000 * (i + 1),
        )
        for i, (n_blocks, L, modulus) in enumerate(shapes[:n])
        for size in sizes
        for random in (False, True)
        for seed in seeds
    ]


def curves(epochs, *, random=False, level=40.0, head=5):
    """Curves of a run: a head phase and fine-tuning, or a joint phase."""
    last = [{"epoch": i + 1, "train_loss": 1.0, "val_acc": level + i / 4} for i in range(epochs)]
    first = [{"epoch": i + 1, "train_loss": 1.0, "val_acc": level + i / 2} for i in range(head)]
    return {"joint": last} if random else {"phase_a": first, "phase_b": last}


def setting_of(*rows):
    """The only setting of runs."""
    (setting,) = results_of(*rows).settings
    return setting


def results_of(*rows):
    return Results(frame=frame(*rows))


def boxes_of(figure, kind=Text):
    """The extents of all visible texts of a figure that say something, as they are drawn in its files."""
    figure.draw_without_rendering()
    renderer, hidden = renderer_of(figure), set()
    for ax in figure.axes:
        for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            hidden |= {t for tick in ticks if not low <= tick.get_loc() <= high for t in (tick.label1, tick.label2)}
        hidden |= set() if ax.get_visible() else set(ax.findobj(Text))
    texts = [text for text in figure.findobj(kind) if text.get_visible() and text.get_text().strip()]
    return {text: text.get_window_extent(renderer) for text in texts if text not in hidden}


def overlapping(boxes):
    """Pairs of texts whose boxes overlap by more than a pixel."""
    return [
        (one.get_text(), other.get_text())
        for (one, a), (other, b) in itertools.combinations(boxes.items(), 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
