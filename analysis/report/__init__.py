"""What `--out DIR` leaves behind: report.html (one file, no network), report.md, tables/ and plots/."""

from analysis.report.page import write_report

__all__ = ["write_report"]
