"""The one way to stored jobs: find them, retry, cancel, change, move and delete them; pause queues."""
