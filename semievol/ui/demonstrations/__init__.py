"""The Demonstrations page: the labeled records that a model can read before each question.

`picker` chooses the record, `demonstrations` draws what belongs to it, `offer` says which ones are on offer, `by_hand`
adds others, `trial` asks a model with them, `browsing` is what the session keeps, `records_map` the map of all records,
`preflight` what the labeled ones say before training.
"""
