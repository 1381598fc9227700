"""Splitters: texts become chunks, the same as ``langchain-text-splitters`` makes them."""
