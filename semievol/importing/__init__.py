"""From files to the records of a dataset version. Reads files; stores nothing.

`readers/` turns a file into a `table` of text. `forms` unfolds nested forms (chat messages, ShareGPT, Alpaca, SQuAD)
to columns, `mapping` suggests which column means what, `task_kind` which task follows. `rows` and `answer_cells` read
one row; `build` makes records of all rows, with a report of those that became none. `checks`, `near_duplicates` and
`fingerprints` find what is worth knowing before use; `splits` cuts calibration and test; `carried_over` takes records
from an earlier version; `accepted` holds the result column by column.
"""
