"""One reader for each file format; each returns an `importing.table.Table` of text.

`read` finds the format from the content and calls `delimited`, `structured` (JSON), `spreadsheet` (XLSX), `parquet`,
`fasttext` or `printed` (tables of psql, MySQL, Markdown), in a separate process with bounded memory (`sandbox`) where
the file is untrusted. `content` opens and unpacks bytes and finds their encoding (`east_asian`), `overrides` holds how
a person wants a file to be read. `header` tells names of columns from a first record, `quotes` what quotation marks
mean, `missing` leaves out a bare NA among quoted texts, `blank_names` columns without a name, such as pandas' row
numbers, `title_lines` a title above the table. Rows are collected by a `table_writer.TableWriter`.
"""
