"""Downloading: rows in, bodies or failures out, on one libcurl event loop a process.

``Fetcher`` is the way in; the worker calls it. What happens to a row, in order:

0. ``fetcher`` takes it, ``pending`` keeps it, ``loop`` carries it through the rest on one thread
1. ``urls``: text → URI, or ``invalid url: …``, ``scheme: …`` (``inline`` for ``data:``)
2. ``budget``: may it start? bounds the memory of bodies
3. ``transfer`` on ``transport``: libcurl, with the slot's callbacks and ``clocks``
4. ``answers``: the headers decide (status, redirect, opt-out by ``robots``, size)
5. ``failures``, ``retry``, ``names``: what went wrong, and whether to try again
"""

from img2dataset.fetching.failures import can_pass
from img2dataset.fetching.fetcher import Fetcher
from img2dataset.fetching.settings import FetchSettings

__all__ = ["FetchSettings", "Fetcher", "can_pass"]
