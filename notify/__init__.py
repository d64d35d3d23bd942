"""Telling people what was committed.  Today: the resumable websocket feeds (docs/feeds.md).

``protocol`` is one connection's talk, without I/O; ``hub`` reads the log once for everybody and
fans out; ``feeds`` is the server around both.
"""
