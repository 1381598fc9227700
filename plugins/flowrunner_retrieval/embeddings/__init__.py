"""Embeddings: turn texts into vectors, with the model providers that also serve chats."""
