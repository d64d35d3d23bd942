# One image for every role of a cluster; the command says which (docker-compose.yml).
ARG PYTHON=docker.io/library/python:3.11.13-slim-bookworm

FROM ${PYTHON} AS builder
WORKDIR /src
RUN python3 -m venv /opt/lastgasp
# What it stands on changes seldom and takes long: a layer of its own.
COPY pyproject.toml README.md LICENSE schema.sql ./
RUN mkdir -p grid devices detectors ingest stream store notify dispatch simulators service \
    && /opt/lastgasp/bin/python -m pip install --no-cache-dir --disable-pip-version-check '.[cluster]' \
    && /opt/lastgasp/bin/python -m pip uninstall --yes lastgasp
COPY grid grid
COPY devices devices
COPY detectors detectors
COPY ingest ingest
COPY stream stream
COPY store store
COPY notify notify
COPY dispatch dispatch
COPY simulators simulators
COPY service service
RUN /opt/lastgasp/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/lastgasp/bin/python -m pip uninstall --yes pip setuptools \
    && /opt/lastgasp/bin/python -m compileall -q /opt/lastgasp/lib \
# The engine's loops, for any machine of this kind: a container starts without compiling.
    && /opt/lastgasp/bin/python -c "import detectors.engine"

FROM ${PYTHON}
# Nothing of ours is installed by root, and nobody but root may change it.
RUN groupadd --gid 10001 lastgasp \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/lastgasp lastgasp \
    && install -d -o 10001 -g 10001 -m 700 /var/lib/lastgasp /secrets/ca /secrets/lastgasp /secrets/simulator /field \
# Volumes take their owners from here.  Files of set-group-ID folders can be read by their reader's group: that
# of Mosquitto, Kafka, PostgreSQL (Alpine), Prometheus (nobody) and Grafana (root) in the images of their houses.
    && install -d -o 10001 -g 1883 -m 2750 /secrets/mosquitto \
    && install -d -o 10001 -g 1000 -m 2750 /secrets/kafka \
    && install -d -o 10001 -g 70 -m 2750 /secrets/timescaledb \
    && install -d -o 10001 -g 65534 -m 2750 /secrets/prometheus \
    && install -d -o 10001 -g 0 -m 2750 /secrets/grafana
COPY --from=builder /opt/lastgasp /opt/lastgasp
ENV PATH=/opt/lastgasp/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LASTGASP_SECRETS=/secrets/lastgasp
USER 10001:10001
WORKDIR /var/lib/lastgasp
ENTRYPOINT ["lastgasp"]
CMD ["--help"]
