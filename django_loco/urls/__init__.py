"""URLconfs for a project to include."""
