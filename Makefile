# All commands of development. `make` lists them. ARGS has further arguments of the program:
#   make run ARGS='--help'        make test ARGS='late_report'

.DEFAULT_GOAL := help
.PHONY: help run demo test check fmt fmt-check clippy deny sqlx sqlx-check examples bench bench-growth \
	api-check faults faults-quick instructions up down clean-data tools cargo-nextest cargo-deny \
	with-postgres prepare-databases

ARGS ?=

# The programs of crates/testkit are called by path: under `cargo run` the cargo that they
# call would inherit its variables and rebuild some dependencies each time.
# `--workspace` makes them share all dependencies with the build of the tests.
BIN := $(or $(CARGO_TARGET_DIR),target)/debug
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
INSTRUCTIONS := $(or $(CARGO_TARGET_DIR),target)/instructions
WITH_POSTGRES := $(BIN)/with-postgres
WITH_DATABASES := $(WITH_POSTGRES) $(BIN)/prepare-databases

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start the server with a demo channel, on SQLite in ./data
	cargo build --workspace --bin receiptd
	$(BIN)/receiptd serve --demo $(ARGS)

demo: ## the same, with more channels and a week of simulated traffic
	cargo build --workspace --bin receiptd
	$(BIN)/receiptd demo
	$(BIN)/receiptd serve --demo $(ARGS)

test: with-postgres cargo-nextest ## run all tests, on SQLite and PostgreSQL
	cargo test --quiet --workspace --doc
	$(WITH_POSTGRES) cargo nextest run --workspace $(ARGS)

check: fmt-check deny clippy ## check formatting, licences, banned crates and lints

fmt: ## format the code
	cargo fmt --all

fmt-check:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets --all-features -- -D warnings

# Offline it needs every crate of the lock file, also those for other systems.
deny: cargo-deny
	cargo fetch --quiet --locked
	cargo deny --offline check --hide-inclusion-graph bans licenses sources

sqlx: with-postgres prepare-databases ## check the adapters' SQL on both databases and update crates/adapter-*/.sqlx
	$(WITH_DATABASES) scripts/sqlx-data write

sqlx-check: with-postgres prepare-databases ## check that crates/adapter-*/.sqlx is up to date
	$(WITH_DATABASES) scripts/sqlx-data check

examples: ## test the subscribers in docs/examples with signed and tampered events
	scripts/check-examples

api-check: ## test a running server against its OpenAPI document
	scripts/check-api $(ARGS)

bench: ## measure throughput and latency (minutes)
	cargo build --release --workspace --bin receiptd --bin bench
	ulimit -n $$(ulimit -H -n) && $(RELEASE)/bench $(ARGS)

PAGES_MESSAGES ?= 10000000
bench-growth: ## measure with up to 10 million stored reports, and all pages beside 10 million messages (25 GB of disk, an hour)
	cargo build --release --workspace --bin receiptd --bin bench
	$(RELEASE)/bench --growth-pages $(PAGES_MESSAGES)
	$(RELEASE)/bench --growth $(ARGS)

faults: ## inject faults and count lost reports (minutes)
	cargo build --release --workspace --bin receiptd --bin faults
	ulimit -n "$$(ulimit -Hn)" && $(RELEASE)/faults $(ARGS)

faults-quick: with-postgres ## inject the quick half of the faults, with the debug build
	cargo build --workspace --bin receiptd --bin faults
	$(BIN)/faults --quick --program $(BIN)/receiptd $(ARGS)

# With its own profile and without the rest of the workspace: CI builds it from scratch.
instructions: ## count the CPU instructions per report and check the limit (valgrind)
	cargo build --profile instructions --package usecases --example take_reports
	scripts/instructions $(INSTRUCTIONS)/examples/take_reports

up: ## build the image and start it with PostgreSQL (Docker)
	docker compose up --build --detach --wait

down: ## stop what `up` started, without deleting its data
	docker compose down

clean-data: ## delete ./data, which `run` created
	rm -rf data

tools: cargo-nextest cargo-deny ## install missing cargo tools

cargo-nextest:
	@cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked --version 0.9.143

cargo-deny:
	@cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked --version 0.20.2

with-postgres:
	@cargo build --quiet --workspace --bin with-postgres

prepare-databases:
	@cargo build --quiet --workspace --features testkit/databases --bin prepare-databases
