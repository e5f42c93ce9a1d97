"""Job files for schedulers."""
