"""Sequences of tokens in one row without padding.

`layout` says where every token stands and what it sees; a beginning that several sequences share stands there once.
`attention` runs such a row through a model of transformers, `piecewise` computes its attention, `batching` cuts work
into batches under a token budget and makes them smaller where memory runs out.
"""
