"""What experts decided.

`decisions` appends them; nothing is ever changed. `undone` says which entries still stand, `standing` what the
standing ones mean for a candidate. `reviews` keeps random reviews, `history` reads everything back, `selections`
freezes.
"""
