"""The palette: marks that nobody confuses, words that everybody can read.

Distances are CIEDE2000 (Sharma 2005) between the marks as normal, protan, deutan and tritan eyes
see them (Machado 2009, severity 1.0, on linear RGB); contrasts are WCAG 2.2's.
"""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest

CSS = (Path(__file__).parents[2] / "dispatch" / "pages" / "css" / "tokens.css").read_text()
MARKS = ("out", "predicted", "planned", "restored", "unknown")
LEAST = 12.0
EYES = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                   [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
WHITE = np.array([0.95047, 1.0, 1.08883])


def theme(name: str) -> dict[str, str]:
    """The colours of a theme as the page has them."""
    block = {
        "light": r":root \{(.*?)\}",
        "dark": r':root\[data-theme="dark"\] \{(.*?)\}',
        "dark by preference": r':root:not\(\[data-theme="light"\]\) \{(.*?)\}',
    }[name]
    found = re.search(block, CSS, re.DOTALL)
    assert found
    return dict(re.findall(r"--([\w-]+): (#[0-9A-F]{6});", found.group(1)))


def test_dark_is_the_same_by_choice_and_by_preference() -> None:
    """Plain CSS cannot share a block between a selector and a media query."""
    assert len(theme("dark")) > 10
    assert theme("dark by preference") == theme("dark")


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(one: np.ndarray, two: np.ndarray) -> float:
    """The difference of two Lab colours; kL = kC = kH = 1."""
    (l1, a1, b1), (l2, a2, b2) = one, two
    mean = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    g = 0.5 * (1 - math.sqrt(mean**7 / (mean**7 + 25**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    dh = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    big_h = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(dh / 2))
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    h_mean = h1 + h2 if c1 * c2 == 0 else (h1 + dh / 2) % 360
    t = (1 - 0.17 * math.cos(math.radians(h_mean - 30)) + 0.24 * math.cos(math.radians(2 * h_mean))
         + 0.32 * math.cos(math.radians(3 * h_mean + 6))
         - 0.20 * math.cos(math.radians(4 * h_mean - 63)))  # fmt: skip
    s_l = 1 + 0.015 * (l_mean - 50) ** 2 / math.sqrt(20 + (l_mean - 50) ** 2)
    s_c, s_h = 1 + 0.045 * c_mean, 1 + 0.015 * c_mean * t
    turn = 60 * math.exp(-(((h_mean - 275) / 25) ** 2))
    r = -math.sin(math.radians(turn)) * 2 * math.sqrt(c_mean**7 / (c_mean**7 + 25**7))
    x, y, z = (l2 - l1) / s_l, (c2 - c1) / s_c, big_h / s_h
    return math.sqrt(x**2 + y**2 + z**2 + r * y * z)


def contrast(one: str, two: str) -> float:
    light, dark = sorted((float(TO_XYZ[1] @ linear(c)) for c in (one, two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_difference_is_that_of_the_published_pairs() -> None:
    pairs = [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]
    for one, two, wanted in pairs:
        assert ciede2000(np.array(one), np.array(two)) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("name", ["light", "dark"])
def test_no_two_marks_look_alike_to_anybody(name: str, eye: str) -> None:
    colours = theme(name)
    seen = {mark: lab(np.array(EYES[eye]) @ linear(colours[mark])) for mark in MARKS}
    for one, two in itertools.combinations(MARKS, 2):
        assert ciede2000(seen[one], seen[two]) >= LEAST, (one, two)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_words_and_marks_stand_out_from_what_is_behind_them(name: str) -> None:
    colours = theme(name)
    for ground in ("page", "surface", "selected"):
        for words in ("text", "text-2"):
            assert contrast(colours[words], colours[ground]) >= 4.5, (words, ground)
        for mark in (*MARKS, "line", "focus"):
            assert contrast(colours[mark], colours[ground]) >= 3.0, (mark, ground)
    for fill in MARKS:
        assert contrast(colours[fill], colours["on-fill"]) >= 4.5, fill


def test_the_dark_theme_is_the_same_whether_chosen_or_the_systems() -> None:
    system = re.search(r':root:not\(\[data-theme="light"\]\) \{(.*?)\}', CSS, re.DOTALL)
    assert system
    assert dict(re.findall(r"--([\w-]+): (#[0-9A-F]{6});", system.group(1))) == theme("dark")
