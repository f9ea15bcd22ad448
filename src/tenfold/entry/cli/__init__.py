"""The command line, `tenfold`. A command parses, calls one thing and prints; the one that runs imports what is heavy.

Exit codes: 0 done · 1 refused or failed, with one sentence on standard error · 2 wrong usage · 3 a verification found a
fault · 130 interrupted.
"""

from tenfold.entry.cli.root import main

__all__ = ["main"]
