"""Whole projects as rows, out of the database and into it.

`taking` reads a project's rows, `restoring` checks and stores them, `belongings` knows from the schema which rows
belong to a project, `traceless` removes what tells of the machine.
"""
