"""A small search engine behind HTTP, to have something that answers as slowly as the real ones do.

It is a process of its own, knows nothing of Django, and keeps what it is given. Every call but ``/status`` takes
50 ms, as over a network. See ``shop/service.py`` for who starts it, and when it ends.
"""
