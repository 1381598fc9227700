"""SQL databases of a flow's author: which may be reached, and how they are asked."""
