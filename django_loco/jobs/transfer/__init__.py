"""Takes jobs out of a store and into another one: dumps, imports, and moves between aliases."""
