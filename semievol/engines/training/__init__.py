"""Fine-tuning on examples.

`loop` runs the training: steps, checkpoints, resume, stop. `batches` tokenises, orders and collates examples and
computes the loss. `trainable` says which weights change (LoRA or all). `fused` computes layers that read the same
input in one product. `checkpoints` writes folders that are complete or absent.
"""
