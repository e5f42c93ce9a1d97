"""Fuzzers for everything that strangers send: images, headers, URLs, lists (``make fuzz``, ``make
fuzz-native``).

The promises that they hold the program to are kept as tests over what they begin with and what they found.
"""
