"""One sample: a source string → its bytes (``sources``, ``downloading``, ``cache``) → a picture or pixels
(``image_bytes``, ``image_pixels``), transformed (``images``, ``captions``; ``finishing`` does both).

``loading`` is the way in. Called by the other folders of training, and knows none of them.
"""
