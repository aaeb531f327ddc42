"""What experts decided.

`decisions` appends them; nothing is ever changed. `undone` says which entries still stand, `standing` reads those and
writes them beside the candidates; what they mean, `selection.decisions` says. `reviews` keeps random reviews, `history`
reads everything back. `freezing` freezes what is accepted, `selections` keeps what was frozen.
"""
