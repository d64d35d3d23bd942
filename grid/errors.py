"""The errors of the house.  The class is the instruction; the message is a sentence for a person.

LastgaspError
 +-- ConfigError   a setting or file is wrong: stop at start, name the path and the fix
 +-- BadPayload    bytes that cannot be read: count, keep the bytes, go on
 +-- Unreachable   a peer is away: keep what you have, try again, no sooner than ``retry_in_s``
 +-- Refused       never again: the request itself is wrong or not allowed
      +-- Fenced   somebody else does this now: drop it, without a word to anybody
"""


class LastgaspError(Exception):
    """A failure the house expects.  ``fields`` go to the log beside the sentence."""

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class ConfigError(LastgaspError):
    """A setting, file or network is wrong: refuse to start."""


class BadPayload(LastgaspError):
    """Bytes from outside that cannot be read: quarantine them and go on."""


class Unreachable(LastgaspError):
    """A peer does not answer: keep the work and try again after ``retry_in_s`` seconds."""

    def __init__(self, message: str, *, retry_in_s: float = 1.0, **fields: object) -> None:
        super().__init__(message, **fields)
        self.retry_in_s = retry_in_s


class Refused(LastgaspError):
    """The request is wrong or not allowed; repeating it will not help."""


class Fenced(Refused):
    """Another process has taken over what this one was doing: leave it to them."""
