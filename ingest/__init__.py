"""Gateways: bytes from MQTT and Modbus become readings, or go to quarantine with a reason."""
