"""The Data page: from files to a stored dataset version.

`upload` leads through an import: `slots` (files), `reading` (how a file is read), `columns` (the mapping), `report`
(findings), `storing`. `drafts` and `choices` keep what is not imported yet. `preview`, `versions`, `carried_over` and
`instruction` belong to what is stored.
"""
