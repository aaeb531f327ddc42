"""Reaches a Ray cluster, and finds out how many workers it has room for."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from semievol.errors import UserError

NODE = "semievol.engines.cluster.node"
"""What its nodes run. Named, since it imports the engine, and the engine this package."""
STOP = "stop"
"""File in a training's folder that asks its processes to stop."""
HERE = "local"
"""Instead of an address: a cluster of this machine alone, which ends with the process that asked for it."""
_PATIENCE_SECONDS = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process has joined.

    workers: how many processes answer and train. threads: processor threads of each. on_gpu: whether each has a GPU.
    """

    workers: int
    threads: int
    on_gpu: bool

    @property
    def resources(self) -> dict[str, Any]:
        """What an actor asks the cluster for."""
        return {"num_cpus": self.threads, "num_gpus": int(self.on_gpu)}


def join(address: str, workers: int = 0, threads: int = 0) -> Cluster:
    """Joins the cluster, once per process.

    address: HERE, "auto" for the cluster that this machine belongs to, HOST:PORT, or ray://HOST:PORT. workers: 0 takes
    one for each GPU; without GPUs, as many as there are processors for. threads: of each; 0: one.
    Raises UserError where Ray is not installed, where nobody answers at the address, and where the cluster is smaller.
    """
    check(address)
    import ray

    if not ray.is_initialized():
        how: dict[str, Any] = {"include_dashboard": False} if address == HERE else {"address": address}
        try:
            ray.init(**how, logging_level=logging.WARNING)
        except (OSError, RuntimeError, ValueError) as error:
            raise _silent(address, error) from error
    there = ray.cluster_resources()
    gpus, threads = int(there.get("GPU", 0)), threads or 1
    most = gpus or int(there.get("CPU", 0)) // threads
    if not most or workers > most:
        kind = "GPUs" if gpus else f"workers of {threads} processor threads"
        raise UserError(
            f"The cluster has {most} {kind}, not {workers or 1}.", "devices", f"Set devices to {most or 1} or 0."
        )
    found = Cluster(workers or most, threads, gpus > 0)
    _log.info("joined the cluster %s: %s", address, found)
    return found


def check(address: str) -> None:
    """Raises UserError where Ray is not installed, and where nobody listens at HOST:PORT: Ray itself would try for ten
    minutes."""
    if find_spec("ray") is None:
        raise UserError("Ray is not installed.", "cluster", "Install it: pip install -r requirements-ray.txt")
    if address in (HERE, "auto"):
        return
    try:
        place = urlsplit(address if "://" in address else f"//{address}")
        if not place.hostname or not place.port:
            raise ValueError("write HOST:PORT, ray://HOST:PORT, auto or local")
        socket.create_connection((place.hostname, place.port), _PATIENCE_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _silent(address, error) from error


def _silent(address: str, error: Exception) -> UserError:
    return UserError(
        f'No Ray cluster answers at "{address}" ({str(error).splitlines()[0][:200]}).',
        "cluster",
        "Check that it runs (ray status) and its address.",
    )
