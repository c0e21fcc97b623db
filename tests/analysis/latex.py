"""Sets tables by LaTeX, as a document that takes them in."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


def set_by_latex(files: Sequence[Path], folder: Path) -> str:
    """The log of a document of class article with all files, which load what their first lines name.

    Skips the test where there is no LaTeX; fails where it reports an error.
    """
    if not shutil.which("pdflatex"):
        pytest.skip("no pdflatex (Debian: texlive-latex-base texlive-latex-recommended)")
    firsts = [re.fullmatch(r"% \\usepackage\{(.*)\}", file.read_text().splitlines()[0]) for file in files]
    packages = sorted({name for first in firsts for name in first[1].split(",")})
    inputs = "".join(f"\\input{{{file}}}\\clearpage\n" for file in files)
    page = f"\\documentclass{{article}}\n\\usepackage{{{','.join(packages)}}}\n\\begin{{document}}\n{inputs}"
    (folder / "all.tex").write_text(page + "\\end{document}\n")
    for _ in range(2):  # longtable learns its widths at the first
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
            cwd=folder,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-3000:]
    return (folder / "all.log").read_text(errors="replace")
