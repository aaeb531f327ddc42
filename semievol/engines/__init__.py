"""Engines that answer and train with models in this process. Torch is loaded here and nowhere else.

`local` is the engine that `method.protocols.Engine` describes. `adapters` holds a base model with its adapters, `chat`
turns conversations into token ids, `retrieval` finds neighbours by `vectors`, `voting` answers from the vectors alone.
`packing/` lays sequences out without padding, `inference/` answers, `training/` trains, `models/` finds models on the
machine and judges whether they can be used.
"""
