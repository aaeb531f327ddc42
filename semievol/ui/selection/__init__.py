"""The Selection page and the Review page: policy, reviews, frozen selections.

`policy`, `threshold`, `consequences` and `evidence` draw the policy and its effects; `measures` compares the measures
it may use. `review` and `desk` draw the review of one record at a time, with `card`, `notes`, `signature` and
`conflicts`; `deciding` carries out its keys and buttons, also for other pages. In the browser `review.js` takes the
keys, `attention.js` knows whether the record was seen, `tab.js` names the tab. `blind` draws random reviews. `many` and
`sweep` decide on many records at once, `external_review` brings decisions from another tool. `history`, `reviewers` and
`frozen` show earlier decisions and selections.
"""
