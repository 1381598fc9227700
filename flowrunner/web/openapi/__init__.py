"""The OpenAPI description, built on the first request for it."""
