"""Vector stores as components: one behaviour under every name that flows have for a store."""
