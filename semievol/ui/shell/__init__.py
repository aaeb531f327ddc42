"""What all pages share.

`router` (pages and links), `sidebar`, `state` (where the visitor stands), `gates` (what a page needs first), `parts`
and `tables` (look and building blocks), `paint` and `record` (data text drawn safely), `formats` (numbers as text),
`notices`, `actions` (what buttons do), `live` (progress of a run), `background` (work beside the page), `awake`.
"""
