"""From files to the records of a dataset version. Reads files; stores nothing.

`readers/` turns a file into a `table` of text. `forms` unfolds nested forms (chat messages, ShareGPT, Alpaca, SQuAD)
to columns, `mapping` suggests which column means what, `task_kind` which task follows. `rows` and `answer_cells` read
one row; `build` makes records of all rows, with a report of those that became none; `accepted` holds the records column
by column, with those kept of an earlier version. `checks`, `near_duplicates` and `fingerprints` find problems in the
data; `splits` cuts calibration, test and folds.
"""
