"""The Evaluation page.

`headline` and `figures` say what came of a run, `classes` looks at it class by class, `calibration` at the stated
probabilities, `changed` at the records that flipped, `turnover` at the pseudo-labels that changed between two rounds.
`published` holds the paper's table, `playground` asks the models, `exports` offers the downloads.
"""
