"""What the results mean: tables and answers from a results folder. Imports neither torch nor Ray.

In the order in which a report is made:

    reading/       a results folder, or the authors' files, as settings of runs that may be compared; notes on runs
    ordering       the order of rows, everywhere
    comparison/    the differences that a question asks about, and what else its arms differ in (confounds)
    pooling/       variances over comparisons, effects over the cells of a grid
    images/        what runs find single test images to be: intervals over seeds and images
    anytime        tests and intervals that hold at any look, which decide; sample_sizes: how many runs they need
    statistics     intervals and tests that count one look; threshold: the search for a value
    verdicts/      tests by themselves, corrected decisions, what would settle an open one, and how it is said
    tables/        tables that every sweep has, and those of single families; published: the authors' figures
    plots/         figures, for files and notebooks
    report, terminal, notebook    what people read; citing: what a methods section says
"""
