"""Vector stores as components: one implementation for every store that flows name."""
