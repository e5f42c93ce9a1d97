"""Names to addresses."""
