"""The engine: evidence, inference, life cycle.  Frames and stream time in, changes and a wake-up
out.

Pure and deterministic: the same frames give the same bytes.
"""
