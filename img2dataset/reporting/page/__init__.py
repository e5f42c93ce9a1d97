"""What the pages of this program have in common: their style, their charts, and how text gets into them.

``markup``: every text becomes markup by ``element``, which escapes it. ``charts``: SVG, made of it.
``style.css``: colours, light and dark. ``whole_page``: a page of one file that may load nothing, and run only
the script that it is given. Used by ``report`` and by ``live``.
"""

from __future__ import annotations

from img2dataset.reporting.page.markup import Markup, element
from img2dataset.reporting.page.whole import whole_page

__all__ = ["Markup", "element", "whole_page"]
