"""Looking after stored conversations, on every backend alike: retention, export, import, copy, digests.

Everything goes through the memory hooks, so a plugin that wraps them (to encrypt, say) is part of
it: what is exported is what people see.
"""

from flowrunner.maintenance.digests import SessionDigest, digest_lines, digest_sessions, same_digests
from flowrunner.maintenance.purging import Purged, purge
from flowrunner.maintenance.timer import PurgeTimer, weakly
from flowrunner.maintenance.transfer import Transfer, copy_messages, export_lines, import_lines

__all__ = [
    "PurgeTimer",
    "Purged",
    "SessionDigest",
    "Transfer",
    "copy_messages",
    "digest_lines",
    "digest_sessions",
    "export_lines",
    "import_lines",
    "purge",
    "same_digests",
    "weakly",
]
