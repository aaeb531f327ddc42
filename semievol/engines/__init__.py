"""Engines that answer and train with models in this process. Torch is loaded here and nowhere else.

`local` is the engine that `method.protocols.Engine` describes. `loading` reads a base model, `adapters` holds it with
its adapters, `adapter_files` knows those on disk. `chat` turns conversations into token ids, `merging` makes one model
of an adapter and its base, `retrieval` finds neighbours, `hidden_states` makes vectors with the model itself, `vectors`
stores embeddings, `projection` makes a map of them, `voting` answers from them alone, `tuned_embedder` fine-tunes what
makes them, `verification` learns which answers are right. `packing/` lays sequences out without padding, `inference/`
answers, `training/` trains, `models/` finds models on this machine and checks whether they can be used. `answering/`
shares questions among several devices, `cluster/` answers and trains on a Ray cluster. `endpoints/` asks models behind
servers, and needs no torch.
"""
