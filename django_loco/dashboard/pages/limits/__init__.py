"""The limits: how much of each is used, by which keys, which jobs wait, and a form to change it while workers run."""
