"""Where jobs run: ``threads`` for sync ones, ``event_loop`` for async ones."""
