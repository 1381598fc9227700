"""Documents: files of the owner or of folders that the operator allows, as text and as rows."""
