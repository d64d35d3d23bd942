# Debian's Mosquitto where eclipse-mosquitto has its own: the same user, paths and programs.
FROM localhost/debian:bookworm
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends mosquitto mosquitto-clients \
    && usermod --uid 1883 mosquitto && groupmod --gid 1883 mosquitto \
    && install -d -o 1883 -g 1883 /mosquitto/config /mosquitto/data
USER 1883:1883
