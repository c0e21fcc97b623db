"""`python -m analysis RESULTS`: the tables of a results folder in the terminal."""

import argparse
import sys

from analysis.report import print_answers
from raysweep.ledger import LedgerError, open_ledger


def main() -> int:
    """Print the results and the answers; exit code 2 for a folder without results."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    parser.add_argument("results", metavar="RESULTS", help="a results folder of run_sweep.py, or its URL")
    args = parser.parse_args()
    try:
        ledger = open_ledger(args.results)
        if not ledger.has_records():
            print(f"error: {ledger.location} holds no results of a sweep", file=sys.stderr)
            return 2
        print_answers(ledger.location)
    except (LedgerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
