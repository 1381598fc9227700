"""Import the data of a Langflow server, from its database or over its API.

:mod:`~flowrunner.langflow.source` says what is read, :mod:`~flowrunner.langflow.database` and
:mod:`~flowrunner.langflow.server` read it, :mod:`~flowrunner.langflow.importing` stores it here.
"""
