"""Fuzzers for everything that strangers send: images, headers, URLs, lists. Run by ``make fuzz`` and
``make fuzz-native``.
"""
