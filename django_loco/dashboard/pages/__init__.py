"""The pages, each in a folder of its own: what it reads, the parts that it makes of it, and its view."""
