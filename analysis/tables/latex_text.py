r"""Texts as LaTeX sets them: every character is escaped, declared or, where it has no form, shown as its code point.

What comes out needs no encoding of the font but the default one (OT1) and no package. So accents are commands, symbols
are mathematics, and `[U+4E2D]` stands for a character that Computer Modern has not.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

SPECIAL = {
    **{character: rf"\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"},
    **{"<": "$<$", ">": "$>$", '"': "''", "\u00a0": "~", "\u202f": r"\,", "\u2009": r"\,"},
    **{"–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "…": r"\ldots{}", "§": r"\S{}"},
    **{"ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}"},
    **{"ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "å": r"\aa{}", "Å": r"\AA{}", "©": r"\copyright{}"},
    **{"−": "$-$", "±": r"$\pm$", "×": r"$\times$", "÷": r"$\div$", "·": r"$\cdot$", "•": r"$\bullet$"},
    **{"≤": r"$\le$", "≥": r"$\ge$", "≠": r"$\ne$", "≈": r"$\approx$", "∞": r"$\infty$", "°": r"$^\circ$"},
    **{"→": r"$\to$", "←": r"$\gets$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "√": r"$\surd$", "∈": r"$\in$"},
    **{"µ": r"$\mu$", "∑": r"$\sum$", "∂": r"$\partial$", "∅": r"$\emptyset$", "¬": r"$\neg$", "∼": r"$\sim$"},
}

ACCENTS = {
    **{"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": "."},
    **{"\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c", "\u0331": "b"},
}
"""The commands of combining characters."""

GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"),
    *("xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
    *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"),
)
"""Letters that have commands."""

BREAKS = "_=-/,.;:+@"
"""After one of these a long name may go on in the next line."""
LONGEST_PIECE, BROKEN_TO = 90.0, 45.0
"""In points: a name without any of them is broken into pieces of 45 where it has more than 90."""


@lru_cache(1 << 16)
def latex_of(text: str) -> str:
    r"""A text in one line. Minus signs of numbers become such, and a leading `[` or `*` nothing for `\\` to take."""
    text = re.sub(r"(?<![\w.])-(?=\d)", "−", unicodedata.normalize("NFC", " ".join(text.split())))
    written = re.sub("-(?=-)", "-{}", "".join(_character(character) for character in text))
    return "{}" + written if written.startswith(("[", "*")) else written


def breakable(text: str) -> str:
    """The same, where the parts of long names may go on in the next line."""
    words = (r"\allowbreak{}".join(map(latex_of, pieces_of(word))) for word in text.split())
    return " ".join(words)


def pieces_of(word: str) -> Iterator[str]:
    """The parts of a word that stay in one line; a number is one."""
    if not any(character.isalpha() for character in word) and width_of(word) <= LONGEST_PIECE:
        yield word
        return
    for piece in re.findall(rf"[^{re.escape(BREAKS)}]+[{re.escape(BREAKS)}]?|[{re.escape(BREAKS)}]", word):
        if width_of(piece) <= LONGEST_PIECE:
            yield piece
            continue
        part = ""
        for character in piece:
            if part and width_of(part + character) > BROKEN_TO:
                yield part
                part = ""
            part += character
        yield part


@lru_cache(1 << 16)
def width_of(text: str) -> float:
    """An upper bound of the width of a text in points, set in Computer Modern of 10 points."""
    return sum(_width(character) for character in unicodedata.normalize("NFC", " ".join(text.split())))


@lru_cache(1 << 12)
def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if " " <= character <= "~":
        return character
    name = unicodedata.name(character, "")
    if found := re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", name):
        letter = found[2].replace("LAMDA", "LAMBDA")
        letter = letter.lower() if found[1] == "SMALL" else letter.capitalize()
        if letter in GREEK:
            return rf"$\{letter}$"
    kind, *points = unicodedata.decomposition(character).split() or [""]
    parts = "".join(chr(int(point, 16)) for point in points)
    if kind in ("<super>", "<sub>") and parts.isascii() and parts.isalnum():
        return f"${'^' if kind == '<super>' else '_'}{{{parts}}}$"
    apart = unicodedata.normalize("NFD", character)
    base, accents = apart[0], apart[1:]
    if base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in ACCENTS:
        return rf"\{ACCENTS[accents[0]]}{{{base}}}"
    return f"[U+{ord(character):04X}]"


@lru_cache(1 << 12)
def _width(character: str) -> float:
    """Widths of classes of characters in cmr10, none below that of a member."""
    if character in "ijl.,:;'!|[]()`I":
        return 3.9
    if character in "mwMWO@%&":
        return 10.3
    if character.isascii() and (character.islower() or character.isdigit() or character in ' -/*=_+"?'):
        return 7.8 if character in "=+" else 5.6
    if character.isascii():
        return 7.9
    shown = _character(character)
    return sum(map(_width, shown)) if shown.startswith("[") else 12.0
