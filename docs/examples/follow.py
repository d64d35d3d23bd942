"""The client of the feeds for Python: python follow.py URL TOKEN CHANNEL

Prints what it is told, one JSON object a line: {"state"}, {"pub"} or {"link"}.
"""

import asyncio
import json
import sys

from notify.follower import Here, Lost, State, Told, follow


async def main(url: str, token: str, channel: str) -> None:
    """Print until stopped."""
    async for told in follow(url, channel, lambda: token):
        match told:
            case State(data=data):
                line = {"state": json.loads(bytes(data))}
            case Told(since=since, key=key, type=kind, data=data):
                pub = {"offset": since.offset, "key": key, "type": kind}
                line = {"pub": {**pub, "data": json.loads(bytes(data))}}
            case Here():
                line = {"link": {"state": "live"}}
            case Lost(reason=reason):
                line = {"link": {"state": "lost", "reason": reason}}
        print(json.dumps(line), flush=True)  # noqa: T201  that is what it is for


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
