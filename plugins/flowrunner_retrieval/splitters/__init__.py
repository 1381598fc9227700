"""Splitters: divide texts into chunks, as ``langchain-text-splitters`` does."""
