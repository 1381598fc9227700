"""The command ``flowrunner`` by a fork, see ``fork_server.py``: ``python -I -S forked_command.py PATH ARGUMENTS``."""

import json
import os
import signal
import socket
import sys


def main() -> int:
    """Ask for a fork with this process's streams, folder and environment, and end as it ends."""
    forks = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    forks.connect(sys.argv[1])
    order = {
        "program": "flowrunner",
        "arguments": sys.argv[2:],
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes longer to import than all the rest
    }
    socket.send_fds(forks, [json.dumps(order).encode()], [0, 1, 2])
    pid = int(forks.recv(32))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda given, _: os.kill(pid, given))
    status = int(forks.recv(32))
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main())
