"""What a task asks and what counts as an answer.

`prompts` turns a record into chat turns: the one place that decides what a model reads. `answers` lists the allowed
answers of a record, reads an answer out of a text, and compares two answers.
"""
