"""Fine-tuning on examples.

`loop` runs the training: steps, checkpoints, resume, stop. `batches` orders and collates tokenised examples and
computes the loss. `cleaning` chooses tokens that are not trained on. `noise` disturbs the token embeddings. `trainable`
holds the weights that change (LoRA or all), `targets` says which of a model get LoRA. `fitting` cuts it to the memory
of the device. `watching` tells its numbers. `fused` computes layers that read the same input in one product.
`checkpoints` writes folders that are complete or not there.

On several devices `launching` starts a `process` for each, which reads its `specification`. They go `together`;
`posting` tells them their work and judges how they ended.
"""
