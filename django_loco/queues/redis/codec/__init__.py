"""Converts jobs to lines of text for Redis, and back.

A job is stored as two JSON lists, which only Python reads. The part that no run changes is written once, and again if
people change it. The *state* is small, and each run replaces it as a whole; a job that has never run has none. While a
worker holds the job, a third text names the worker. A fourth text, a JSON object, has the fields that the lists do not
have. Scripts do not parse these texts.
"""
