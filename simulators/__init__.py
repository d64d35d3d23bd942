"""Devices and worlds that speak the real protocols: meters, terminals, concentrators, breakers; scenarios with a truth log."""
