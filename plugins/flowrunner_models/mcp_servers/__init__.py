"""MCP servers: which a flow may use, and what their tools give."""
