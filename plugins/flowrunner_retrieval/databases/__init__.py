"""SQL databases named by flow authors: which may be reached, and how they are queried."""
