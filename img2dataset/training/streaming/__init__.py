"""Train while downloading: ``stream`` (a list → samples, in one process or several) and ``url_stream`` (the
same for a ``DataLoader``, with a position to go on from). Works on ``load`` and ``batch``.

Named so because a folder called ``stream`` would take the place of ``img2dataset.training.stream``.
"""
