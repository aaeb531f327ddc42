"""From files to the records of a dataset version. Reads files; stores nothing.

`readers/` turns a file into a `table` of text, with a `table_writer`. `forms/` unfolds the forms of other tools
(conversations, Alpaca, Label Studio, Argilla, …) to columns. `suggestions` says which column means what (a `mapping`),
by `column_names`, `column_cells` and `only_labeled`, `named_numbers` or `nameless_columns`; `rendered` knows columns
that repeat a record, `joined_columns` makes one of several, `alternatives` says which others there are; `task_kind`
which task follows. `import_report` says what was taken for what, `earlier_mapping` what an earlier version took.
`label_names` holds labels that a person names, `label_spellings` finds misspelled ones, `numbers` tells numbers from
labels with digits. `rows` and `answer_cells` read one row; `build` makes records of all rows, `imported` holds them
with a report of those that became none; `accepted` holds the records column by column, with those kept of an earlier
version. `findings` says what a finding is: `checks` looks for those about records, `doubts` for guesses that change
what the data means, `leaks` for questions that hold their answer. `duplicates` tells records that are the same or
nearly so; `splits` cuts calibration, test and folds.
"""
