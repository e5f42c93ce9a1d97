"""Verifying: an output folder in, what is missing from it or broken in it out. Nothing is made here.

Called by the command line (``img2dataset verify OUTPUT``, in ``command``) and from Python (``verify``).

Reading order: ``report`` (what is said), ``inventory`` (what stands in the folder), ``expectation`` (what the
folder's record says should), ``checking`` (one shard: its ``statistics``, ``metadata``, ``samples`` and
``images``), ``many_shards`` (many at once), ``verification`` (all of it).

Data are read by the formats themselves (``formats``); the record is ``manifest``.
"""

from img2dataset.verifying.report import BadShard, VerificationReport
from img2dataset.verifying.verification import verify

__all__ = ["BadShard", "VerificationReport", "verify"]
