"""Runs the same lists through img2dataset 1.47.0 and this checkout and compares all they write.

``python -m tests.differential.run``; ``README.md`` says what is compared and what is not.
"""
