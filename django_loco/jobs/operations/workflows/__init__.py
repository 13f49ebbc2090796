"""Workflows: ``workflow`` and ``signatures`` are what users write, ``releasing`` lets nodes run, ``results`` reads."""
