"""What all pages share.

`session` (what a visitor keeps between reruns), `router` (pages and links), `sidebar`, `state` (current project and
round), `policies` (the saved policy and one on trial), `gates` (what a page needs first), `parts` and `tables`
(building blocks), `paint` and `record` (text from data, drawn safely), `disputed_source` (where a disputed answer is
from), `formats` (numbers as text), `area` (a part of the map), `views` (the choice between the views of a page),
`notices` (messages after a rerun), `actions` (what buttons do), `archives` (whole projects as files), `downloads`
(files that are written when asked for), `steps` (what comes next), `proposal` (the settings of the next run),
`next_round` (its button), `round_ledger` (what rounds brought), `live` (progress of a run), `study_progress` (of a
study), `time_left` (how long it will take), `awaiting_results` (a page without results yet), `asking` (a model, at
once), `background` (work in a thread), `awake` (redraws a page after a restart of the dashboard, and in another theme).
"""
