"""Devices and worlds that speak the real protocols, and know the truth.

``world`` says what happens in a scenario, who has power when, and what each device would say;
``mqtt_devices`` and ``breakers`` say it over MQTT and Modbus; ``day`` writes it as lines for a
replay; ``verdict`` compares what was found with the truth.  Only ``devices`` is shared with ingest.
"""
