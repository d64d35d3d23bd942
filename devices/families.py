"""The relay families we know, by the word in the column ``family`` of breakers.csv."""

from collections.abc import Mapping

from devices import fr100, rc20
from devices.relay import Family

FAMILIES: Mapping[str, Family] = {one.name: one for one in (fr100.FAMILY, rc20.FAMILY)}
