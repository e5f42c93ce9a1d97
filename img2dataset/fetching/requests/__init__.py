"""Rows to requests: which begins when, in what time, how often, with how much memory."""
