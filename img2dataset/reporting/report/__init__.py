"""``report.html`` and ``report.json``: an output folder comes in, a page of what is in it goes out.

``folder`` finds what is there, ``columns`` counts rows by the columns of their metadata, ``gathering`` puts
both together with the logs; ``document`` says the numbers as JSON, and ``page`` shows that document and
nothing else. ``comparing`` does the same for two folders. Nothing is loaded before a report is made.
"""
