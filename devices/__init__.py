"""One module a device family, each its datasheet: topics, payloads, register maps.

Decode and encode, shared by the gateways, the simulators and the golden tests.  Pure.
"""
