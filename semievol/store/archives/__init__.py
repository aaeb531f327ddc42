"""Whole projects as rows, out of the database and into it.

`export_rows` reads a project's rows, `import_rows` checks and stores them. `ownership` derives from the schema which
rows are a project's, `redaction` removes paths and keys of this machine.
"""
