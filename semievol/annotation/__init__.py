"""Review in other tools: candidates as tasks for Label Studio, Argilla and Prodigy, and the annotators' work as
decisions.

Each tool has a module: `files` writes what the tool imports, `returned` reads a record of what it exports. `home` says
which decisions the annotators made. Knows nothing of databases, pages, or where files are.
"""
