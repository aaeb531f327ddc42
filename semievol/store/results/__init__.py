"""What models answered, and the outcome of runs.

`results` reads a round's results as frames, pages and single records, `collaborators` what each collaborator said
over all of them, `places` the map, `costs` what answers took. `rows` translates responses and candidates to table
rows and back; `label_errors` judges the labels of known records; `outcomes` holds test answers, the evaluation and
adapters; `rounds_ledger` reads what the ledger of rounds is made from.
"""
