"""A page that shows a run while it goes on: what lies in the output folder comes in, a page goes out.

``following`` reads the event logs as they grow, ``shard_statistics`` a folder that has none; ``view`` makes
one JSON document of what they say, ``metrics`` a page for Prometheus of the document; ``samples`` reads the
latest images; ``server`` serves them on loopback, and ``live_page`` is who looks and when. All of it only
reads.
"""

from __future__ import annotations

from img2dataset.reporting.live.live_page import LivePage

__all__ = ["LivePage"]
