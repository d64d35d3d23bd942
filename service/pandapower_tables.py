"""The tables of a pandapower net as the plain rows that ``grid.pandapower_net`` reads."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from grid.pandapower_net import Bus, Line, Load, Switch, Tables, Trafo

PHASE_POWERS = {"A": "p_a_mw", "B": "p_b_mw", "C": "p_c_mw"}


class _Point(msgspec.Struct, tag_field="type", tag="Point"):
    coordinates: Annotated[list[float], msgspec.Meta(min_length=2)]


def tables_of(net: Any) -> Tables:
    """Read a net; what is out of service is left away, lines excepted: they may be ties."""
    return Tables(
        buses=tuple(_buses(net)),
        lines=tuple(
            Line(index, _text(name), int(a), int(b), bool(in_service))
            for index, name, a, b, in_service in _rows(
                net.line, "name", "from_bus", "to_bus", "in_service"
            )
        ),
        switches=tuple(
            Switch(index, _text(name), int(bus), int(element), et, _text(kind), bool(closed))
            for index, name, bus, element, et, kind, closed in _rows(
                net.switch, "name", "bus", "element", "et", "type", "closed"
            )
        ),
        trafos=tuple(_trafos(net)),
        ext_grids=tuple(
            int(bus)
            for _, bus, in_service in _rows(net.ext_grid, "bus", "in_service")
            if in_service
        ),
        loads=tuple(_loads(net)),
    )


def _rows(table: Any, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Index and columns, row by row; None for a column that the table has not."""
    series = [table[c].tolist() if c in table else [None] * len(table) for c in columns]
    return zip(table.index.tolist(), *series, strict=True)


def _text(value: object) -> str:
    """Text as it is, blank for None and for pandas' not-a-number."""
    return (
        value if isinstance(value, str) else "" if value is None or value != value else str(value)
    )


def _buses(net: Any) -> Iterator[Bus]:
    flat = {}
    if len(net.get("bus_geodata", ())):  # how it was kept before pandapower 3
        flat = {i: (float(x), float(y)) for i, x, y in _rows(net.bus_geodata, "x", "y")}
    for index, name, vn_kv, geo, zone, in_service in _rows(
        net.bus, "name", "vn_kv", "geo", "zone", "in_service"
    ):
        if in_service:
            x, y = _point(geo) or flat.get(index) or (None, None)
            yield Bus(index, _text(name), float(vn_kv), x, y, _text(zone))


def _point(geo: object) -> tuple[float, float] | None:
    """The coordinates of a GeoJSON point; None for anything else."""
    try:
        shape = msgspec.json.decode(geo, type=_Point) if isinstance(geo, str) else None
    except msgspec.DecodeError:
        return None
    return (shape.coordinates[0], shape.coordinates[1]) if shape else None


def _trafos(net: Any) -> Iterator[Trafo]:
    for index, name, high, low, in_service in _rows(
        net.trafo, "name", "hv_bus", "lv_bus", "in_service"
    ):
        if in_service:
            yield Trafo(index, _text(name), int(high), int(low), "t")
    for index, name, high, middle, low, in_service in _rows(
        net.trafo3w, "name", "hv_bus", "mv_bus", "lv_bus", "in_service"
    ):
        if in_service:
            yield Trafo(index, f"{_text(name)}-MV", int(high), int(middle), "t3")
            yield Trafo(index, f"{_text(name)}-LV", int(high), int(low), "t3")


def _loads(net: Any) -> Iterator[Load]:
    for index, name, bus, in_service in _rows(net.load, "name", "bus", "in_service"):
        if in_service:
            yield Load(index, _text(name), int(bus))
    powers = PHASE_POWERS.values()
    for index, name, bus, in_service, *parts in _rows(
        net.asymmetric_load, "name", "bus", "in_service", *powers
    ):
        if in_service:
            phases = "".join(p for p, mw in zip(PHASE_POWERS, parts, strict=True) if mw)
            yield Load(index, _text(name), int(bus), phases or "ABC")
