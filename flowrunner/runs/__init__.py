"""Accepted runs: recorded, queued, cancelled and finished, in any process."""
