"""Rounds and runs.

`rounds` finds or opens a round for given settings. `runs` queues, stops and resumes. `claims` and `liveness` say which
process works on a run and whether it still exists. `studies` are runs without a round. `journal` is the store's side of
`method.protocols.Journal`; `progress` stores stages, metrics and events.
"""
