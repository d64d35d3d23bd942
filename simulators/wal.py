"""The devices' write-ahead store on disk: one SQLite file in the simulators' folder.

What is written here before it is sent survives a kill of the process: facts that nobody has
committed, with the boot and seq they were sent under, and how far the story has been told.  Each
start is a new boot, so that no seq is ever used for two facts.
"""

import sqlite3
from pathlib import Path
from types import TracebackType

import msgspec

from grid.errors import ConfigError
from grid.reading import Reading
from simulators.outbox import Changes, Entry

FILE = "devices.sqlite"
_TABLES = """
create table if not exists fact (
    no integer primary key, cls text not null, name text not null,
    expires_ms integer not null, body blob not null
);
create table if not exists note (key text primary key, value text not null) without rowid;
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Reading).decode


class Wal:
    """The file, held by one process at a time."""

    def __init__(self, folder: Path) -> None:
        """Open or create the file.

        Raises:
            ConfigError: Another process holds it, or it cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(folder / FILE, isolation_level=None, timeout=1.0)
            self._db.execute("pragma locking_mode = exclusive")
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")  # a kill is survived, a power cut not
            self._db.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(
                f"{folder}: the simulators' store cannot be opened ({error}); "
                "stop the other simulators, or give another folder"
            ) from None
        starts = int(self.note("starts") or "0") + 1
        self.remember(starts=str(starts))
        self.boot = f"s{starts}"

    def __enter__(self) -> "Wal":
        """Nothing more than the constructor did."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the file."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def note(self, key: str) -> str | None:
        """What was remembered under a name."""
        row = self._db.execute("select value from note where key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, **notes: str) -> None:
        """Keep some notes, all or none of them."""
        with self._transaction():
            self._put(notes)

    def kept(self, now_ms: int) -> list[Entry]:
        """The facts of the last run; a device that is dead by now has none any more."""
        self._db.execute("delete from fact where expires_ms <= ?", (now_ms,))
        rows = self._db.execute("select no, cls, name, expires_ms, body from fact order by no")
        return [
            Entry(no, (cls, name), _decode(body), expires_ms, on_disk=True)
            for no, cls, name, expires_ms, body in rows
        ]

    def write(self, changes: Changes, **notes: str) -> None:
        """Put what has changed, and how far the story is, on disk in one transaction."""
        with self._transaction():
            self._db.executemany(
                "insert into fact values (?, ?, ?, ?, ?)",
                ((e.no, *e.sender, e.expires_ms, _encode(e.reading)) for e in changes.added),
            )
            self._db.executemany(
                "update fact set body = ? where no = ?",
                ((_encode(e.reading), e.no) for e in changes.numbered),
            )
            self._db.executemany("delete from fact where no = ?", ((e.no,) for e in changes.gone))
            self._put(notes)

    def wipe(self, **notes: str) -> None:
        """Forget all facts: the devices they were of are not those of this story."""
        with self._transaction():
            self._db.execute("delete from fact")
            self._put(notes)

    def _put(self, notes: dict[str, str]) -> None:
        self._db.executemany("insert or replace into note values (?, ?)", notes.items())

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)


class _Transaction:
    """All of what is done inside, or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("begin immediate")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.execute("commit" if kind is None else "rollback")
