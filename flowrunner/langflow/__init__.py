"""Bringing over what a Langflow server holds: from its database, or by its API.

:mod:`~flowrunner.langflow.source` says what is read, :mod:`~flowrunner.langflow.database` and
:mod:`~flowrunner.langflow.server` read it, :mod:`~flowrunner.langflow.arrival` stores it here.
"""
