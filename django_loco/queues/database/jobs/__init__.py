"""The jobs in a database: how they are inserted, changed, looked up, finished, rescued and pruned.

They are claimed by ``Dialect.take``, and limited ones by ``limits.claims``.
"""
