"""Sequences of tokens in one row without padding.

`layout` decides where every token is and what it sees; a beginning that several sequences share is there once. `shares`
counts its tokens before there is one. `attention` runs such a row through a model of transformers, `piecewise` computes
its attention, `batching` cuts work into batches under a token budget and makes them smaller when memory runs out.
"""
