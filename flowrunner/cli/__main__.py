"""``python -m flowrunner.cli``: the command ``flowrunner``."""

from flowrunner.cli import main

main()
