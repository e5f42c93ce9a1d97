"""The live page: what it says of a folder, who it says it to, and how it looks in a real browser."""
