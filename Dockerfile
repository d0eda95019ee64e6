# An image for manifests/: docker build --tag registry.example.com/peakscaler:0.1.0 .
# The tests do not build it: they need no container runtime.
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --locked --release --bin peakscaler

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /source/target/release/peakscaler /usr/local/bin/peakscaler
ENTRYPOINT ["/usr/local/bin/peakscaler"]
