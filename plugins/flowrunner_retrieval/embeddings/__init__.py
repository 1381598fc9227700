"""Embeddings: texts become vectors, by the models of the same providers that answer chats."""
