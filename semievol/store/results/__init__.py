"""What models answered and what came of it.

`results` reads a round's results as frames, pages and single records. `responses` and `candidates` translate between
table rows and values; `outcomes` holds test answers, the evaluation and adapters.
"""
