"""The vector store ``local``: rows in the app's database, exact search with numpy."""
