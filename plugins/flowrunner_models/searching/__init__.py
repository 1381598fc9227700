"""Searching the web, the news and collections of knowledge."""
