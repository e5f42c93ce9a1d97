"""A worked example of a package that adds to img2dataset; see CONTRIBUTING.md."""
