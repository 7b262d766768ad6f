"""The command line: ``mien VERB …``. Each verb is a file of this room and is imported when it is called."""

from mien.cli.entry import VERBS, main

__all__ = ["VERBS", "main"]
