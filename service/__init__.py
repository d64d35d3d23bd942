"""The composition root: settings, command line, wiring, health and metrics."""
