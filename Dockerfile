FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY . .
ARG VERSION
# Programs run as the user of the node and of its health check. The kernel closes the environment of a process whose
# binary this user cannot read, from the first moment on.
RUN make build VERSION=$VERSION && chmod 711 bin/runnerbean && go clean -cache

# The node: one static binary and the programs that it may run.
FROM debian:bookworm-slim AS node
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/runnerbean runnerbean
COPY --from=build /src/bin/runnerbean /usr/local/bin/runnerbean
COPY --from=build --chown=root:root /src/bin/programs /usr/local/lib/runnerbean/programs
ENV RUNNERBEAN_DATA=/var/lib/runnerbean \
    RUNNERBEAN_PROGRAMS=/usr/local/lib/runnerbean/programs \
    RUNNERBEAN_LISTEN=0.0.0.0:8420
USER runnerbean
VOLUME /var/lib/runnerbean
EXPOSE 8420
ENTRYPOINT ["runnerbean"]
CMD ["worker"]

FROM scratch AS website
USER 65532:65532
COPY --from=build /src/bin/website /website
EXPOSE 8080
ENTRYPOINT ["/website"]

# beanstalkd keeps the inbox on disk.
FROM debian:bookworm-slim AS beanstalkd
RUN apt-get update && apt-get install -y --no-install-recommends beanstalkd && rm -rf /var/lib/apt/lists/* \
    && install -d -o beanstalkd -g beanstalkd /var/lib/beanstalkd/binlog
USER beanstalkd
VOLUME /var/lib/beanstalkd/binlog
EXPOSE 11300
ENTRYPOINT ["beanstalkd", "-l", "0.0.0.0", "-b", "/var/lib/beanstalkd/binlog"]
