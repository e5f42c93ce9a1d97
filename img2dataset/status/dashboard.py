"""The live page of an output folder, with what its status says: starts it, or says why it cannot be.

Called by the api (``--dashboard``) and by ``img2dataset watch``.
"""

from __future__ import annotations

import dataclasses
import logging

from img2dataset.errors import Img2datasetError, OutputError, one_line
from img2dataset.log_output import notice
from img2dataset.manifest import shown_list
from img2dataset.reporting.live import LivePage
from img2dataset.status.folder_status import folder_status
from img2dataset.storage.locations import locate

logger = logging.getLogger("img2dataset")


def open_page(output_folder: str, port: int = 0) -> LivePage:
    """Begin to serve the page of an output folder, which may not be there yet.

    Args:
        output_folder: any fsspec path.
        port: of 127.0.0.1; 0, or where it is taken: one that is free.

    Raises:
        Img2datasetError: its file system cannot be used.
        OSError: nothing can be served on loopback.
    """
    return LivePage(
        locate(output_folder, "output_folder", OutputError),
        shown_list(output_folder) or output_folder,
        lambda: dataclasses.asdict(folder_status(output_folder)),
        port,
    )


def start_dashboard(output_folder: str, port: int = 0) -> LivePage | None:
    """Begin to serve the page of a run and say where; None, and a warning, where that cannot be."""
    try:
        page = open_page(output_folder, port)
    except (Img2datasetError, OSError) as error:
        logger.warning("--dashboard: the page cannot be served: %s; the run goes on", one_line(error))
        return None
    if port not in (0, page.port):
        logger.warning("--dashboard_port: port %d is taken; the page is served on port %d", port, page.port)
    notice("page", f"live page at {page.url}", url=page.url)
    return page
