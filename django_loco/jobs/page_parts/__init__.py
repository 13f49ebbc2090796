"""Rows, details, forms and operations that the admin's pages of jobs share with those of the dashboard."""
