"""What the utility owns and what may happen to it: network, readings, frames, outages.

Pure: no clock, no I/O, no randomness.  Everything else in the house speaks in these words.
"""
