"""Plain loops over nodes and rows, as machine code.

A function is compiled as its module is imported, for the types in its annotations and no others: so
never in the middle of a storm.  What was compiled is kept, beside the sources or else in the user's
cache folder, and taken from there while none of the sources it was made from has changed.  Where
nothing can be kept, it is compiled anew by each process.

Never ``fastmath``: the same frames give the same bytes.
"""

import ast
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from inspect import signature
from pathlib import Path
from types import FunctionType
from typing import Annotated, Any, Self, TypeVar, cast, get_origin, get_type_hints

import numba
import numpy as np
from numba.core import caching

from grid.network import F32, F64, I16, I32, I64, U8, U32, U64, Bools

Function = TypeVar("Function", bound=Callable[..., Any])

READ_ONLY = "read only"  # in the annotation of records: those that nobody may change fit, too
OF_RECORDS = "of records"  # in that of a column: its entries may lie apart, within records
FOLDER = Path(__file__).parent
COLUMNS = {I16: "i2", I32: "i4", I64: "i8", F32: "f4", F64: "f8", U8: "u1", U32: "u4", U64: "u8"}
NUMBERS = {int: numba.types.int64, float: numba.types.float64, bool: numba.types.boolean}


def compiled(function: Function) -> Function:
    """Compile a function of columns, numbers and tuples of them.

    Columns and records lie in one piece, but for columns ``OF_RECORDS``.  Functions that it calls
    stand above it.
    """
    assert isinstance(function, FunctionType)
    hints = get_type_hints(function, include_extras=True)
    types = tuple(_numba_type(hints[name]) for name in signature(function).parameters)
    try:
        return _kept(function, types)
    except (RuntimeError, OSError):  # there is no folder to keep it in, or it is full
        return _compiled(function, types, keep=False)


def _kept(function: Function, types: tuple[Any, ...]) -> Function:
    try:
        return _compiled(function, types, keep=True)
    except (AttributeError, ImportError):  # what is kept names a class that is no more
        caching.FunctionCache(function).flush()  # type: ignore[no-untyped-call]
        return _compiled(function, types, keep=True)


def _compiled(function: Function, types: tuple[Any, ...], *, keep: bool) -> Function:
    compile_for = numba.njit([types], cache=keep, error_model="numpy", forceinline=True)
    return cast(Function, compile_for(function))


@cache
def _numba_type(hint: Any) -> Any:
    """What numba calls an annotation."""
    if hint in NUMBERS:
        return NUMBERS[hint]
    if hint == Bools:
        return numba.types.Array(numba.types.boolean, 1, "C")
    if get_origin(hint) is Annotated and OF_RECORDS in hint.__metadata__:
        return _numba_type(hint.__origin__).copy(layout="A")
    if get_origin(hint) is Annotated:
        record = numba.from_dtype(hint.__metadata__[0])
        if hint.__origin__ is np.void:
            return record
        return numba.types.Array(record, 1, "C", readonly=READ_ONLY in hint.__metadata__)
    if hint in COLUMNS:
        return numba.types.Array(numba.from_dtype(np.dtype(COLUMNS[hint])), 1, "C")
    fields = get_type_hints(hint)
    types: Any = numba.types
    return types.BaseTuple.from_types([_numba_type(fields[name]) for name in hint._fields], hint)


class _OfAllSources:
    """Compiled from one file, with constants and functions of those that it imports."""

    _py_file: str

    def get_source_stamp(self) -> str:
        """A digest of all of them."""
        return _digest(Path(self._py_file))

    @classmethod
    def from_function(cls, function: FunctionType, file: str) -> Self | None:
        """Where to keep a function of ours; None for others', and where one can neither read nor
        write.
        """
        if Path(file).parent != FOLDER:
            return None
        found: Self | None = super().from_function(function, file)  # type: ignore[misc]
        return found


class BesideSources(_OfAllSources, caching.InTreeCacheLocator):
    """Beside the bytecode, which is where an installation compiles ahead: good enough to read."""

    def ensure_cache_path(self) -> None:
        """Raises OSError where nothing was kept and nothing can be."""
        if not any((Path(self._py_file).parent / "__pycache__").glob("*.nbi")):
            super().ensure_cache_path()  # type: ignore[no-untyped-call]


class OfTheUser(_OfAllSources, caching.UserWideCacheLocator):
    """In the user's own cache folder."""


@cache
def _digest(file: Path) -> str:
    """Of a file, and of all of ours that it imports."""
    digest = sha256()
    for source in sorted(_sources(file)):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _sources(file: Path, known: frozenset[Path] = frozenset()) -> frozenset[Path]:
    known |= {file}
    for line in ast.parse(file.read_text(encoding="utf-8")).body:
        module = line.module or "" if isinstance(line, ast.ImportFrom) else ""
        if module.startswith(("detectors.", "grid.")):
            imported = FOLDER.parent.joinpath(*module.split(".")).with_suffix(".py")
            if imported not in known:
                known |= _sources(imported, known)
    return known


numba.config.CACHE_LOCATOR_CLASSES = ",".join(  # type: ignore[attr-defined]  # made as it is read
    [f"{__name__}.{BesideSources.__name__}", f"{__name__}.{OfTheUser.__name__}",
     "UserProvidedCacheLocator", "InTreeCacheLocator", "UserWideCacheLocator"]
)  # fmt: skip
# one kind of code for all machines: it can be made ahead on another, and every one comes to the
# same numbers
numba.config.CPU_NAME = numba.config.CPU_NAME or "generic"  # type: ignore[attr-defined]  # likewise
