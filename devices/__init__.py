"""One module a device family, each its datasheet: topics, payloads, register maps; decode and encode.

Shared by the gateways, the simulators and the golden tests.  Pure.
"""
