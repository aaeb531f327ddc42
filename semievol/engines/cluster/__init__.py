"""Answering and training on a Ray cluster. Ray is optional: `requirements-ray.txt`.

`joining` reaches the cluster, `answering` shares questions among actors, `training` trains with Ray Train; `node` is
what runs on its nodes. Every node has the same Python environment, this checkout at the same path, and sees the
workspace and the model's folder.
"""
