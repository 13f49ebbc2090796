"""URLs to include in a project's own."""
