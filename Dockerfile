# The program from a folder that holds it with all it links in `root`, and an empty `state`, without pulling anything
# (tests/container_image.rs):
#   docker build --target prepared --file Dockerfile FOLDER
FROM scratch AS prepared
COPY root /
# A volume that is mounted there gets its owner from it.
COPY --chown=65532:65532 state /var/lib/dockbell
ENV DOCKBELL_STATE=/var/lib/dockbell DOCKBELL_CACHE=/var/lib/dockbell/cache
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["/usr/local/bin/dockbell", "health"]
ENTRYPOINT ["/usr/local/bin/dockbell"]

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package dockbell && mkdir /state

FROM debian:bookworm-slim
# Mail servers prove themselves with certificates that these sign.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/dockbell /usr/local/bin/dockbell
# What must survive a restart; a volume that is mounted there gets its owner from it.
COPY --from=build --chown=65532:65532 /state /var/lib/dockbell
ENV DOCKBELL_STATE=/var/lib/dockbell DOCKBELL_CACHE=/var/lib/dockbell/cache
# Nobody; what opens the engine's socket is its group, which compose.yaml adds.
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["/usr/local/bin/dockbell", "health"]
ENTRYPOINT ["/usr/local/bin/dockbell"]
