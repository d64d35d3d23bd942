"""When Python looks for garbage: not while a commit is told to thousands.

A collection of everything takes a process with 5,000 connections .3 s (67 objects each), and
Python's own thresholds set one off every ten commits or so: the rows of a storm that are on their
way count as new long-lived objects.  A connection that ends leaves a circle of 15 objects behind,
so never to collect would not do.
"""

import gc

YOUNG = 10_000  # new objects; a storm has half of that on its way
MIDDLE = 5  # times YOUNG
OLD = 0  # after one of MIDDLE everything is looked at: some 4,700 connections have ended by then


def collect_rarely() -> None:
    """Of a process that serves feeds."""
    gc.set_threshold(YOUNG, MIDDLE, OLD)
