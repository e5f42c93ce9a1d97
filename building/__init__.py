"""How the package is built; no part of what is installed."""
