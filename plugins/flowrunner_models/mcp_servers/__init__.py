"""MCP servers: which ones a flow may use, and the results of their tools."""
