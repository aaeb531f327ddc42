"""Projects, dataset versions and records.

`projects` makes, finds, changes and deletes projects and their folders. `versions` writes dataset versions and
says which one a project works on; `records` reads them back; `labels` keeps those given on a page for the next version.
"""
