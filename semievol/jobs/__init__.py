"""Work in processes of their own, and what prepares it.

`launch` starts, stops and finds runs; `worker` carries them out; `planning` decides which records a run gets,
`resuming` which run is worth resuming. `predicting` answers the records of a file. `inference_client` asks a model at
once, `inference_process` starts, reaches and ends the process that holds it, in which `inference_server` answers;
`one_record` asks all collaborators. `intake` imports files, `external_review` decisions made in another tool, `models`
describes the models on this machine, `embedders` lists its embedders, `token_counts` counts the tokens that a run will
read, `estimate` estimates its memory and pace from them, `duration` its time, `summary` gives its results, `studying`
compares arms over seeds, `environment` starts processes that compute, `sent_prompts` makes the prompts behind stored
responses again, `judge_order` asks the judge with the candidate answers reversed. `remote_models` checks, tries and
asks endpoints, `money` says what they cost. `sample_archive` makes the bundled sample's archive, `sample_figures` reads
its figures.
"""
