"""The pages. Each has a folder with what it reads, its parts, and its view."""
