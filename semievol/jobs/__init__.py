"""Work in processes of their own, and what prepares it.

`launch` starts, stops and finds runs; `worker` carries them out; `planning` decides which records a run gets.
`inference_client` asks a model now, through `inference_server`. `intake` imports files, `models` describes the models
on this machine, `estimate` tells time and memory before a run, `summary` what came of one, `environment` sets up
processes that compute. `sample_archive` makes the bundled sample's archive.
"""
