"""The SQL that the engines have in common."""
