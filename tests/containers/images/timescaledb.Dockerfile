# Debian's TimescaleDB (Apache edition) where timescale/timescaledb has its own: the same user, paths and first start.
FROM localhost/debian:trixie-timescaledb
RUN usermod --uid 70 postgres && groupmod --gid 70 postgres \
    && install -d -o 70 -g 70 /var/lib/postgresql && install -d -o 70 -g 70 -m 700 /var/lib/postgresql/data \
    && mkdir -p /docker-entrypoint-initdb.d
# PGHOST: /run is nobody's here, so its socket lies elsewhere (docker-entrypoint.sh).
ENV PATH=/usr/lib/postgresql/17/bin:$PATH LANG=C.UTF-8 PGHOST=/tmp
COPY images/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/postgresql/data
USER 70:70
