"""Search the web, the news and knowledge collections."""
