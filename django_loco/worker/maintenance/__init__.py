"""The threads of a worker beside the fetcher: they renew, rescue, prune, isolate and listen."""
