"""PostgreSQL and TimescaleDB: the one transaction, the recorded stream, the change log.  Only this
folder knows SQL.
"""
