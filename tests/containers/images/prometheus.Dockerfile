# Debian's Prometheus where prom/prometheus has its own: the same user and paths.
FROM localhost/debian:bookworm
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus \
    && install -d -o 65534 -g 65534 /prometheus
# Debian's promtool is too old to ask by TLS: whether somebody listens has to do.
RUN printf '#!/bin/sh\nexec python3 -c "import socket; socket.create_connection((\\"127.0.0.1\\", 9090), 3)"\n' \
        >/usr/local/bin/promtool && chmod +x /usr/local/bin/promtool
USER 65534:65534
ENTRYPOINT ["/usr/bin/prometheus"]
