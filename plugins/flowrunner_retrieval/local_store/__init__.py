"""The vector store ``local``: rows in the app's own database, searched exactly by numpy."""
