"""One request: where it connects, as whom, over what, and what its answer says."""
