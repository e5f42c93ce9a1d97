"""What sites say of being taken: one signal a file."""
