"""Models on this machine: how they are found, whether they can be used, how much memory they need.

`architectures` lists what transformers builds. `resolve` finds a model by its name and checks its folder, whose `files`
it reads. `packaged` and `conversion` turn installed packages and GGUF files into safetensors. `suitability` says before
a run whether a model can answer and be trained, `tokenizer` and `prompts` count tokens without torch, `template` shows
a conversation as the model's chat template does, `footprint` estimates memory, `hardware` says how much there is.
"""
