# One build cache for every clone, outside of it: compiling RocksDB takes ten minutes.
CARGO_TARGET_DIR ?= $(HOME)/.cache/graven/target
export CARGO_TARGET_DIR

.PHONY: help demo test long bench bench-core bench-ladder bench-peers bench-query python-client lint prepare

help:
	@echo 'make demo    the main job, told step by step (REPO=path for another git repository)'
	@echo 'make test    the tests'
	@echo 'make long    the tests with the long batteries'
	@echo 'make bench   appends end to end, beside fdatasync of the same volume (DIR=path SECONDS=n)'
	@echo 'make bench-core   single operations of the core, and a ledger in one process (DIR=path)'
	@echo 'make bench-ladder   appends beside what the disk, RocksDB and gRPC allow (DIR=path SECONDS=n)'
	@echo 'make bench-peers   the same events in PostgreSQL, SQLite, immudb, Tessera (DIR= SECONDS= ENTRIES=n)'
	@echo 'make bench-query   questions to a long ledger, and to PostgreSQL if it is installed (DIR=path ENTRIES=n)'
	@echo 'make python-client   a client in Python against a server with mutual TLS and signed tokens'
	@echo 'make lint    format, clippy, licences and advisories'
	@echo
	@echo 'The first build compiles RocksDB and takes about fifteen minutes on two cores.'
	@echo 'Build cache: $(CARGO_TARGET_DIR)'

prepare:
	@scripts/prepare.sh

demo: prepare
	@scripts/demo.sh

test: prepare
	cargo test --release --locked --lib --bins --test suite

long: prepare
	GRAVEN_LONG=1 cargo test --release --locked --test suite

bench: prepare
	cargo bench --profile release --locked --bench append -- $(DIR) $(SECONDS)

bench-core: prepare
	BENCH_DIR=$(or $(DIR),/var/tmp) cargo bench --profile release --locked --bench core --bench ledger

bench-ladder: prepare
	cargo bench --profile release --locked --bench ladder -- $(or $(DIR),/var/tmp) $(or $(SECONDS),5)

bench-peers: prepare
	cargo bench --profile release --locked --bench peers -- $(or $(DIR),/var/tmp) $(or $(SECONDS),5) $(or $(ENTRIES),300000)

bench-query: prepare
	cargo bench --profile release --locked --bench query -- $(or $(DIR),/var/tmp) $(ENTRIES)

python-client: prepare
	cargo build --release --locked --bin graven
	python3 tests/python/client.py $(CARGO_TARGET_DIR)/release/graven

lint: prepare
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	cargo clippy --release --locked --all-targets --no-default-features -- -D warnings
	scripts/deny.sh
