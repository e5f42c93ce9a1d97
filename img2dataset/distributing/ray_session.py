"""The Ray cluster of a run: the one that is there, or one of its own on this machine. For ``ray_cluster``."""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import re
import socket
import time
from collections.abc import Mapping
from typing import Any

from img2dataset.errors import MissingDependency, RunFailed, one_line
from img2dataset.installation import install_extra
from img2dataset.stopping import signals_kept

logger = logging.getLogger("img2dataset")

# Ray itself tries an address where nothing listens for more than five minutes.
ANSWERING_S = 20.0
HOST_AND_PORT = re.compile(r"\[?(?P<host>[^\[\]/]+)\]?:(?P<port>\d{1,5})")


def check_ray() -> None:
    """See that ray is there.

    Raises:
        MissingDependency: it is not.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"--distributor ray needs the package {error.name}: {install_extra('ray')}"
        ) from error


class Cluster:
    """A connection to a Ray cluster, and whether it is ours to end.

    Args:
        config: arguments of ``ray.init``, by name; as Python literals, or as texts where they are none.

    Raises:
        RunFailed: there is no cluster at the address, and none can be made.
    """

    def __init__(self, config: Mapping[str, str]) -> None:
        import ray

        self._is_ours = not ray.is_initialized()
        if not self._is_ours:
            for name in config:
                logger.warning(
                    "--distributor_config %s has no effect: Ray was initialised before this run", name
                )
            return
        # A cluster of ours tells nobody that it is there.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # What actors die of is told by this program in a line; Ray would add their tracebacks.
        arguments: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if config.get("address") == "local":
            # Nobody looks at it, and it takes a part of a core. A cluster that is there is not to be told so.
            arguments["include_dashboard"] = False
        arguments |= {name: _value(text) for name, text in config.items()}
        address = config.get("address") or os.environ.get("RAY_ADDRESS", "")
        _await_answer(address)
        try:
            with signals_kept():
                # Without an address: that of RAY_ADDRESS, or a cluster of this machine, or a new one.
                ray.init(**arguments)
        except Exception as error:  # of wrong arguments, of no cluster, of one with another Python or Ray
            # Something listens there: of a wrong token Ray says only that it cannot connect.
            way_out = (
                "RAY_AUTH_MODE and RAY_AUTH_TOKEN must be here what they were where it was started"
                if isinstance(error, ConnectionError) and HOST_AND_PORT.fullmatch(address)
                else "--distributor_config takes arguments of ray.init, such as address=HOST:6379"
            )
            raise RunFailed(f"the Ray cluster cannot be used: {one_line(error)}; {way_out}") from error

    def nodes(self) -> dict[str, tuple[str, int]]:
        """The nodes that are there now, by id: the address and the cores of each; those without cores not."""
        import ray

        found = {}
        for node in ray.nodes():
            cores = int(node["Resources"].get("CPU", 0))
            if node["Alive"] and cores:
                found[node["NodeID"]] = (node["NodeManagerAddress"], cores)
        return found

    def close(self) -> None:
        """Leave the cluster, which ends one of our own."""
        import ray

        if self._is_ours:
            with contextlib.suppress(Exception):  # it may be gone
                ray.shutdown()


def _await_answer(address: str) -> None:
    """See that a machine listens at HOST:PORT; what is no such address is left to Ray.

    Raises:
        RunFailed: none does.
    """
    found = HOST_AND_PORT.fullmatch(address)
    if found is None:
        return
    until = time.monotonic() + ANSWERING_S
    while True:
        left = max(1.0, until - time.monotonic())
        try:
            socket.create_connection((found["host"], int(found["port"])), timeout=left).close()
            return
        except (OSError, OverflowError) as error:
            if time.monotonic() > until:
                raise RunFailed(
                    f"the Ray cluster cannot be used: nothing answers at {address} ({one_line(error)});"
                    " start it there (ray start --head), or give the right address by --distributor_config"
                    " address=HOST:PORT or RAY_ADDRESS"
                ) from error
        time.sleep(1)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
