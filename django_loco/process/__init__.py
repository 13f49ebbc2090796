"""A process of django-loco: its signals, its children, its reloads and its end."""
