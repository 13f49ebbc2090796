"""Rows, details, forms and operations that the pages of jobs in the admin and in the dashboard share."""
