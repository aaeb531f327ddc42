"""The Demonstrations page: the labeled records that the model reads before each question."""
