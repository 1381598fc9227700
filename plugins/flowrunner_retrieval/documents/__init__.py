"""Documents: files of the owner or of permitted folders, as text and rows."""
