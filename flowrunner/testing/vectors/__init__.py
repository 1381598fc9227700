"""The groups of tests of which the contract of a vector store is made."""
