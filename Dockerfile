# The program from a folder that holds it with all it links, without pulling anything (tests/container_image.rs):
#   docker build --target prepared --file Dockerfile FOLDER
FROM scratch AS prepared
COPY . /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/dockbell"]

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package dockbell

FROM debian:bookworm-slim
# Mail servers prove themselves with certificates that these sign.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/dockbell /usr/local/bin/dockbell
# Nobody; what opens the engine's socket is its group, which compose.yaml adds.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/dockbell"]
