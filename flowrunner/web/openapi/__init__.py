"""The description of the API: made of what stands beside it here, on the first request for it."""
