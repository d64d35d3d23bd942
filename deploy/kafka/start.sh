#!/bin/sh
# Prepares the volume on the first start, with the one user that may come in, and runs the broker.
set -eu
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted --cluster-id lastgasp00000000000000 \
    --config /etc/lastgasp/server.properties \
    --add-scram "SCRAM-SHA-512=[name=lastgasp,password=$(cat /secrets/lastgasp.password)]"
exec /opt/kafka/bin/kafka-server-start.sh /etc/lastgasp/server.properties
