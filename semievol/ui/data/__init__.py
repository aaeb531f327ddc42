"""The Data page: from files to a stored dataset version.

`upload` leads through an import: `slots` (files), `reading` (how a file is read), `carried_over` (splits to keep),
`columns` (the mapping), `report` (findings), `storing`. `drafts` and `choices` keep an import that is not finished.
`preview`, `versions` and `instruction` show and change what is stored.
"""
