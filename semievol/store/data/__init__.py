"""Projects, dataset versions and records.

`projects` makes, finds, changes and deletes projects. `versions` writes dataset versions, through `staging`; `records`
reads them back; `in_use` says which version a project works on; `incoming` holds files that are not imported yet.
"""
