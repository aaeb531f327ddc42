"""The Data page: from files to a stored dataset version.

`upload` leads through an import: `slots` (files), `carried_over` (splits to keep), `columns` (the mapping), `report`
(findings and a preview), `corrections` (buttons of findings that read a file otherwise), `misspelled` (labels that look
like another one). `import_draft` and `drafts` keep an import that is not finished. `stored` shows and changes what is
stored, `label_errors` lists labels that look wrong, `labels` corrects one.
"""
