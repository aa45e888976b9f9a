FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The queries are checked against crates/adapter-*/.sqlx, not against a database.
ENV SQLX_OFFLINE=true
# The cached target folder may be newer than the sources: touch them, so that cargo compiles
# them. Dependencies stay compiled.
RUN --mount=type=cache,id=receiptd-cargo-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=receiptd-cargo-target,target=/src/target,sharing=locked \
    find crates migrations -type f -exec touch {} + \
    && cargo build --release --locked -p receiptd --bin receiptd \
    && install -m 0755 target/release/receiptd /usr/local/bin/receiptd

FROM debian:bookworm-slim
# Certificates: for TLS connections to subscribers.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 receiptd \
    && useradd --uid 10001 --gid receiptd --no-create-home \
       --home-dir /var/lib/receiptd --shell /usr/sbin/nologin receiptd \
    && install -d -o receiptd -g receiptd -m 0700 /var/lib/receiptd
COPY --from=build /usr/local/bin/receiptd /usr/local/bin/receiptd
# Numeric, so that an orchestrator can verify that it is not root.
USER 10001:10001
# A new named volume gets the owner and the mode of the folder it is mounted on.
WORKDIR /var/lib/receiptd
ENV RECEIPTD_DATA_DIR=/var/lib/receiptd \
    RECEIPTD_PUBLIC_LISTEN=0.0.0.0:8080 \
    RECEIPTD_ADMIN_LISTEN=0.0.0.0:8081
EXPOSE 8080 8081
ENTRYPOINT ["receiptd"]
CMD ["serve"]
