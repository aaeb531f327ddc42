"""What experts decided.

`decisions` appends them; nothing is ever changed. `standing` reads the entries that no later one takes back and writes
them beside the candidates; what they mean, `selection.decisions` says. `reviews` stores random reviews, `history`
reads everything back. `selections` freezes what is accepted.
"""
