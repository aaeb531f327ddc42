"""Models on this machine: where they lie, whether they can be used, what they need.

`resolve` finds a model by its name and judges its folder. `packaged` and `conversion` make installed packages and GGUF
files into safetensors, `headers` checks these. `suitability` says before a run whether a model can be answered with
and trained, `templates` applies its chat template, `lengths` counts tokens without torch, `footprint` estimates
memory.
"""
