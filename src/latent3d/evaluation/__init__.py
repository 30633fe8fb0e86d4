"""What samples are worth. How to read this room:

    score.py        samples of one set to their measures and their ledger: a loop over the families that a task lists
    context.py      what a family gets beside samples and requests: reference, energies, the shared analysis, options
    measures.py     what families add values to: with intervals, counts, failures
    measures_file.py   measures.parquet: one line per quantity
    registry.py     every quantity: name, unit, direction, meaning (quantity.py)
    intervals.py    95 % confidence intervals

    analysis/       what several families see of molecules, made once: of samples, and of the training molecules
    validity/ geometry/ distribution/ energy/    the families, and the methods behind them

A family is a file with a function

    measure(samples, requests, context, out) -> DataFrame | None

that adds its values to `out` and returns its columns of the ledger, one line per sample. In a task's task.yaml it is
named by its place here: `validity.legacy` is `validity/legacy.py`. A task's own is
`{name: ..., function: module:name}`.
What a family cannot measure is missing (`out.missing`), never left out.
"""
