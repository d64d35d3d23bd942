# Apache Kafka's jars where apache/kafka has its own: the same user, paths and programs.
FROM localhost/debian:bookworm
RUN mkdir -p /usr/share/man/man1 && apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless \
    && groupadd --gid 1000 appuser && useradd --uid 1000 --gid 1000 --no-create-home appuser \
    && install -d -o 1000 -g 1000 /var/lib/kafka/data && mkdir -p /opt/kafka/bin
COPY libs /opt/kafka/libs
COPY images/kafka-class.sh /opt/kafka/bin/kafka-class.sh
RUN cd /opt/kafka/bin \
    && printf '#!/bin/sh\nexec /opt/kafka/bin/kafka-class.sh kafka.tools.StorageTool "$@"\n' >kafka-storage.sh \
    && printf '#!/bin/sh\nexec /opt/kafka/bin/kafka-class.sh kafka.Kafka "$@"\n' >kafka-server-start.sh \
    && printf '#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/9094\n' >kafka-broker-api-versions.sh \
    && chmod +x ./*.sh
USER 1000:1000
