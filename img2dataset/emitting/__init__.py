"""Job files for schedulers and clusters: the words of a run come in, a file to start it with goes out.

``command`` is called by the command line; ``job`` is what all files are made from; one file a scheduler.
"""
