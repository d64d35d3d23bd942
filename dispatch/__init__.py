"""The dispatch centre's HTTP API, and who may ask it what."""
