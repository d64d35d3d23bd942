"""Exit codes, and how an error is said: one sentence with the fix, on standard error."""

import sys

from grid.errors import ConfigError, LastgaspError, Refused, Unreachable

FAILED = 1  # something failed that should not have: see the log
USAGE = 2  # the command line is wrong
CONFIG = 3  # a setting, file, network or machine is wrong
UNREACHABLE = 4  # the service, the database or the broker does not answer
REFUSED = 5  # not there, or not allowed
FOUND = 6  # a check found something wrong
INTERRUPTED = 130

EPILOG = (
    "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 a setting, file or network is wrong; "
    "4 the service, database or broker cannot be reached; 5 refused or not there; "
    "6 a check found something wrong."
)


def code_of(error: LastgaspError) -> int:
    """The exit code that an error means."""
    for kind, code in ((ConfigError, CONFIG), (Unreachable, UNREACHABLE), (Refused, REFUSED)):
        if isinstance(error, kind):
            return code
    return FAILED


def say(error: LastgaspError) -> None:
    """The error's sentence."""
    print(f"lastgasp: {error.message}", file=sys.stderr)  # noqa: T201  a command's own words
