"""What `--out DIR` leaves behind: the tables as files."""

from pathlib import Path

from analysis.results import Results
from analysis.tables import all_tables
from analysis.verdicts import Verdict


def write_report(results: Results, answers: list[Verdict], out: Path) -> Path:
    """Write DIR/tables/NAME.csv, .md, .tex and .html. Returns the folder."""
    folder = out / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    for table in all_tables(results, answers):
        table.write(folder)
    return folder
