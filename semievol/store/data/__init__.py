"""Projects, dataset versions and records.

`projects` makes, finds, changes and deletes projects and their folders. `versions` writes dataset versions, through
`staging`, and says which one a project works on; `records` reads them back.
"""
