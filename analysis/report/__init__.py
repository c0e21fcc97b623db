"""What `--out DIR` leaves behind: report.html (one file, no network), report.md, tables/ and plots/."""
