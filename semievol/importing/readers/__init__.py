"""One reader for each file format; each gives back an `importing.table.Table` of text.

`read` finds the format from the content and calls `delimited`, `structured` (JSON), `spreadsheet` (XLSX) or `parquet`,
in a separate process with bounded memory (`sandbox`) where the file is untrusted. `content` opens and unpacks bytes,
`encodings` finds the text encoding, `overrides` holds what a person says about a file, `building` collects rows.
"""
