#!/bin/sh
# Apache Kafka 4.1.1 for the tests, out of Maven's central repository: one process (KRaft), jars in build/kafka.
#
#   scripts/kafka.sh install             once; about a minute and 45 MB
#   scripts/kafka.sh format DIR PORT     a fresh broker in DIR for 127.0.0.1:PORT; its controller takes PORT + 1
#   scripts/kafka.sh run DIR             runs it in the foreground: whoever started it stops or kills it
#
# It is ready when an admin call is answered: without a log binding it says nothing.
set -eu
cd "$(dirname "$0")/.."
jars=build/kafka

install() {
    if [ -e "$jars/.ready" ]; then
        return
    fi
    for tool in java mvn; do
        command -v "$tool" >/dev/null || {
            echo "Kafka needs Java 17 and Maven; on Debian: apt-get install openjdk-17-jre-headless maven" >&2
            exit 1
        }
    done
    rm -rf "$jars.part"
    mkdir -p "$jars.part"
    cat >"$jars.part/pom.xml" <<'POM'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>lastgasp</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.1.1</version></dependency>
  </dependencies>
</project>
POM
    (cd "$jars.part" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=libs)
    rm -rf "$jars"
    mv "$jars.part" "$jars"
    touch "$jars/.ready"
}

kafka() {
    exec java -Xms64m -Xmx384m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$jars/libs/*" "$@"
}

format() {
    mkdir -p "$1"
    cat >"$1/server.properties" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$(($2 + 1))
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$(($2 + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$1/log
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=4194304
CONF
    (kafka kafka.tools.StorageTool format -t Xlastgasp0000000000000 -c "$1/server.properties") >/dev/null
}

case "${1-}" in
    install) install ;;
    format) format "$2" "$3" ;;
    run) kafka kafka.Kafka "$2/server.properties" ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
