"""What the pages of jobs share, those of the admin and those of the dashboard: rows, details, forms, operations."""
