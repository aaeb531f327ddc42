"""Engines that answer and train: models in this process. Torch is loaded here and nowhere else."""
