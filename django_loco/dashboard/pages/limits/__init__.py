"""The limits: how each is used, which keys hold it, who waits, and a change while workers run."""
