"""The Ray cluster of a run: the one that is there, or one of its own on this machine. For ``ray_cluster``."""

from __future__ import annotations

import ast
import contextlib
import logging
import os
from collections.abc import Mapping
from typing import Any

from img2dataset.errors import MissingDependency, RunFailed, one_line
from img2dataset.installation import install_extra
from img2dataset.stopping import signals_kept

logger = logging.getLogger("img2dataset")


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
        try:
            with signals_kept():
                # Without an address: that of RAY_ADDRESS, or a cluster of this machine, or a new one.
                ray.init(**arguments)
        except Exception as error:  # of wrong arguments, of no cluster, of one with another Python or Ray
            raise RunFailed(
                f"the Ray cluster cannot be used: {one_line(error)}; --distributor_config takes arguments of"
                " ray.init, such as address=HOST:6379"
            ) from error

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


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
