"""How far a run is, from any machine that sees its output folder; reads, never writes, and costs it nothing.

Called by the command line. ``folder_status`` reads what lies there, ``command`` shows it.
"""
