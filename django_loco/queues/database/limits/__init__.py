"""Limited jobs in a database: how workers claim them, whose turn it is, and how workers wait until a key opens.

The records of the limits are in ``records.limits``.
"""
