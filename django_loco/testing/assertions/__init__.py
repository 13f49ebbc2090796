"""Which jobs are enqueued: the assertions for tests, and what they say."""
