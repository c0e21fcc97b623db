"""The six switches of airbench: experiments with some of them on, and the author's epochs to 94 % for each."""

SWITCHES = {"A": "whiten", "B": "dirac", "C": "scalebias", "D": "lookahead", "E": "tta", "F": "flip"}
SPOKEN_SWITCHES = ", ".join(f"{letter} {name}" for letter, name in SWITCHES.items())

EPOCHS_TO_94 = {
    **{"all_on": 9.9, "all_off": 34.0},
    **{f"without_{x}": n for x, n in zip(SWITCHES, (22.0, 12.7, 14.2, 10.7, 11.2, 10.8), strict=True)},
    **{f"only_{x}": n for x, n in zip(SWITCHES, (21.0, 29.5, 40.0, 33.0, 29.5, 33.0), strict=True)},
    **{f"only_A{x}": n for x, n in zip("BCDEF", (18.0, 16.5, 20.2, 18.1, 20.5), strict=True)},
}
"""The author's epochs to 94 % by switches; only_AB is his step dirac, only_AF is "20 to 21"."""

ADDITIVE = {
    **{f"only_A{x}": ("all_off", "only_A", f"only_{x}") for x in "BCDEF"},
    "without_A": ("all_off", *(f"only_{x}" for x in "BCDEF")),
    **{f"without_{x}": ("only_A", *(f"only_A{y}" for y in "BCDEF" if y != x)) for x in "BCDEF"},
    "all_on": ("only_A", *(f"only_A{x}" for x in "BCDEF")),
}
"""For each experiment with several switches on, the base of a sum, and the experiments that add one of the others to
it. With whitening the base is whitening alone ("training speedups accumulate additively", arXiv 2404.00498, figure 3),
otherwise nothing."""


def letters_on(name: str) -> str:
    """The letters of the switches that an experiment such as `only_AC` or `without_B` has on."""
    if name in ("all_on", "all_off"):
        return "".join(SWITCHES) if name == "all_on" else ""
    how, _, letters = name.partition("_")
    return letters if how == "only" else "".join(letter for letter in SWITCHES if letter != letters)


def purpose(name: str) -> str:
    """What such an experiment is for, in a line."""
    names = [SWITCHES[letter] for letter in letters_on(name)]
    return f"switches {letters_on(name)}: {', '.join(names)}" if names else "all switches off"
