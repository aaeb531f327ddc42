"""Rounds and runs.

`rounds` finds or opens a round for given settings. `runs` queues, stops and resumes.
`claims` and `liveness` say who works on a run and whether that process lives. `journal` is the store's side of
`method.protocols.Journal`; `progress` keeps stages, metrics and events.
"""
