#!/bin/sh
# Runs a class of Kafka's; KAFKA_HEAP_OPTS as in the scripts that Kafka ships.
# shellcheck disable=SC2086
exec java ${KAFKA_HEAP_OPTS--Xmx256m} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' "$@"
