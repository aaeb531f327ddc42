"""What experts decided.

`decisions` appends them, and reads those that no later entry takes back; nothing is ever changed. What they mean,
`selection.decisions` says. `history` reads every entry, and takes decisions back. `external_review` stores those made
in another tool, `reviews` random reviews; `selections` freezes what is accepted.
"""
