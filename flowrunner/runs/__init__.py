"""Runs as something accepted: recorded, queued, stopped and ended, whichever process they are in."""
