"""The Selection page: policy, review desk, frozen selections.

`policy`, `threshold`, `consequences` and `evidence` are the policy and what it does. `review` and `desk` are the
review of one record at a time (`card`, `signature`, `conflicts`); `blind` are random reviews; `bulk`, `many` and
`sweep` decide on many; `history`, `reviewers` and `frozen` look back.
"""
