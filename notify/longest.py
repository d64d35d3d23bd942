"""The longest values that a text may have to say: what the length budget is checked with."""

from collections.abc import Mapping
from typing import Any

LONGEST: Mapping[str, Mapping[str, Any]] = {
    "zh": {
        "p": "幸福里小区十二号楼", "on": "12月30日15:02", "nx": "12月31日16:00",
        "c": "外力破坏电缆", "c2": "现场情况变化", "n": "128,000", "crew": False,
        "win": "明天22:00至后天02:00", "new": "明天22:00至后天02:00",
        "was": "17:00至明天01:00",
        "later": True, "arr": "明天15:45", "at": "昨天15:38", "t": "昨天18:52", "d": "23小时50分",
        "begin": "12月30日（周一）08:00", "end": "16:00",
        "device": "XF-12-00023-B", "feeder": "F-110-07",
    },
    "en": {
        "p": "12 Willow Court Gardens", "on": "Sat 15:02", "nx": "Sun 16:00",
        "c": "vehicle hit a pole", "c2": "of a transformer fault", "n": "128,000", "crew": False,
        "win": "Sat 22:00 to Sun 02:00", "new": "Sat 22:00 to Sun 02:00",
        "was": "17:00 to Sat 01:00",
        "later": True, "arr": "Sat 15:45", "at": "Sat 15:38", "t": "Sat 18:52",
        "d": "23 h 50 min", "begin": "Mon 30 Dec, 08:00", "end": "16:00",
        "device": "XF-12-00023-B", "feeder": "F-110-07",
    },
}  # fmt: skip


def longest(language: str) -> dict[str, Any]:
    """The longest values of a language, by the templates' names."""
    return dict(LONGEST[language])
