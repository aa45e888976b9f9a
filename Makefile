# Every chore. Bare `make` lists them. More words for the program go into ARGS:
#   make run ARGS='--help'        make test ARGS='late_report'

.DEFAULT_GOAL := help
.PHONY: help run test check fmt fmt-check clippy deny sqlx sqlx-check examples bench bench-growth \
	api-check faults faults-quick instructions up down clean-data tools cargo-nextest cargo-deny \
	with-postgres prepare-databases

ARGS ?=

# The programs of crates/testkit are called by path: under `cargo run` the cargo they
# call would see its parent's variables and build some dependencies anew each time.
# `--workspace` makes them share all dependencies with the tests' build.
BIN := $(or $(CARGO_TARGET_DIR),target)/debug
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
INSTRUCTIONS := $(or $(CARGO_TARGET_DIR),target)/instructions
WITH_POSTGRES := $(BIN)/with-postgres
WITH_DATABASES := $(WITH_POSTGRES) $(BIN)/prepare-databases

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start the service with demo data, on SQLite in ./data
	cargo build --workspace --bin receiptd
	$(BIN)/receiptd serve --demo $(ARGS)

test: with-postgres cargo-nextest ## run all tests, those on PostgreSQL included
	cargo test --quiet --workspace --doc
	$(WITH_POSTGRES) cargo nextest run --workspace $(ARGS)

check: fmt-check deny clippy ## formatting, licences and bans, lints

fmt: ## format the code
	cargo fmt --all

fmt-check:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets --all-features -- -D warnings

# Offline it needs every crate of the lock file, those for other systems too.
deny: cargo-deny
	cargo fetch --quiet --locked
	cargo deny --offline check --hide-inclusion-graph bans licenses sources

sqlx: with-postgres prepare-databases ## ask both databases about the adapters' SQL; writes crates/adapter-*/.sqlx
	$(WITH_DATABASES) scripts/sqlx-data write

sqlx-check: with-postgres prepare-databases ## the same, but only compares
	$(WITH_DATABASES) scripts/sqlx-data check

examples: ## run the subscribers in docs/examples against signed and tampered events
	scripts/check-examples

api-check: ## check a running server against its OpenAPI document, with the usual tools
	scripts/check-api $(ARGS)

bench: ## measure throughput and latency (takes minutes)
	cargo build --release --workspace --bin receiptd --bin bench
	ulimit -n $$(ulimit -H -n) && $(RELEASE)/bench $(ARGS)

bench-growth: ## what a report costs with up to 10 million stored (25 GB of disk, half an hour)
	cargo build --release --workspace --bin receiptd --bin bench
	$(RELEASE)/bench --growth $(ARGS)

faults: ## kill and starve the service, and count what was lost (takes minutes)
	cargo build --release --workspace --bin receiptd --bin faults
	ulimit -n "$$(ulimit -Hn)" && $(RELEASE)/faults $(ARGS)

faults-quick: with-postgres ## the quick half of them, on the debug build
	cargo build --workspace --bin receiptd --bin faults
	$(BIN)/faults --quick --program $(BIN)/receiptd $(ARGS)

# With a profile of its own, and without the rest of the workspace: CI builds it from nothing.
instructions: ## count the instructions of one report against their limit (valgrind)
	cargo build --profile instructions --package usecases --example take_reports
	scripts/instructions $(INSTRUCTIONS)/examples/take_reports

up: ## build the image and start it with PostgreSQL (Docker)
	docker compose up --build --detach --wait

down: ## stop what `up` started; the data stays
	docker compose down

clean-data: ## delete ./data, what `run` has stored
	rm -rf data

tools: cargo-nextest cargo-deny ## install the cargo tools that are missing

cargo-nextest:
	@cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked --version 0.9.143

cargo-deny:
	@cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked --version 0.20.2

with-postgres:
	@cargo build --quiet --workspace --bin with-postgres

prepare-databases:
	@cargo build --quiet --workspace --features testkit/databases --bin prepare-databases
