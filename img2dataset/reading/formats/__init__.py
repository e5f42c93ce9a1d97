"""One file a list format, named as ``input_format`` names it; see ``list_format`` for what is in it."""
