"""Review in other tools: candidates as tasks for Label Studio, Argilla and Prodigy, and the annotators' work as
decisions.

`argilla`, `label_studio` and `prodigy`: `files` writes what the tool imports, `returned` reads a record of what it
exports. `tools` knows them by name, `exchange` has what goes out and comes back. `decisions` says which decisions the
annotators made, by their `votes`. Knows nothing of databases, pages, or where files are.
"""
