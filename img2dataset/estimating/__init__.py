"""What a run would give and take, from a random sample of its list that is downloaded for real.

``sampled_list`` takes the rows, ``trial`` downloads them with the program's own engine, ``reckoning`` reckons
from what was seen to the whole list. ``img2dataset estimate`` prints it.
"""
