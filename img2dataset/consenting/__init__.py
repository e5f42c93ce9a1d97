"""What was said of training in a finished folder: counted, asked again, taken out, and summed up for the AI Act.

``counting`` counts what was honoured and seen; ``rechecking`` asks sites again and ``removing`` takes rows out
of shards; ``domains`` and ``eu_summary`` fill in the AI Office's template. ``img2dataset consent`` shows them.
"""
