"""The groups of tests of which the contract of a memory backend is made."""
