"""The Evaluation page.

`headline` and `figures` say what came of a run, `classes` looks at it class by class, `calibration` at the stated
probabilities, `changed` at the records that flipped, `rounds` is the ledger of rounds, `turnover` looks at the
pseudo-labels that changed between two of them. `published` holds the paper's table, `study` compares arms over seeds,
`playground` asks the models, `exports` offers the downloads.
"""
