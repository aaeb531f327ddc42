"""What models answered and what came of it.

`results` reads a round's results as frames, pages and single records. `rows` translates responses and
candidates to table rows and back; `outcomes` holds test answers, the evaluation and adapters.
"""
