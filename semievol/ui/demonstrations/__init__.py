"""The Demonstrations page: the labeled records that the model reads before each question.

`picker` chooses the record, `demonstrations` draws what belongs to it, `browsing` is what the session keeps.
"""
