#!/bin/sh
# The database and its two users, on the first start: ours owns it and is no superuser, Grafana's reads views.
set -eu
lastgasp=$(cat /secrets/lastgasp.password)
grafana=$(cat /secrets/grafana.password)
psql --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<SQL
CREATE ROLE lastgasp LOGIN PASSWORD '$lastgasp';
CREATE DATABASE lastgasp OWNER lastgasp TEMPLATE template0 ENCODING 'UTF8';
CREATE ROLE lastgasp_reader NOLOGIN;
CREATE ROLE grafana LOGIN PASSWORD '$grafana' CONNECTION LIMIT 10 IN ROLE lastgasp_reader;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
\connect lastgasp
CREATE EXTENSION IF NOT EXISTS timescaledb;
REVOKE ALL ON SCHEMA public FROM public;
GRANT ALL ON SCHEMA public TO lastgasp;
-- What lastgasp_reader may read, schema.sql says.
SQL
