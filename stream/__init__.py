"""The ordered, recorded stream of each feeder group: stream time, frames, and the runner that feeds
the engine.
"""
