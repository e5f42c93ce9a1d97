"""What the file formats say of themselves before anything is decoded: one parser a format."""
