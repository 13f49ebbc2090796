"""The charts of the dashboard, and the numbers in them."""
