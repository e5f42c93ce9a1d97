"""Statistics, progress, the closing summary and reports; reads only shard reports and what is on disk.

Nothing is imported here: a process that makes thumbnails loads no more than that.
"""
