# `make demo` shows the main job, `make test` runs all tests (of the long sweeps a part), `make test-full` the whole sweeps,
# `make check` is what CI runs, `make bench` measures (`make bench ONLY="beat down"`: some of it).

# Static binaries are built for a named target, so they lie in a folder of that name.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
TUPLE = $(or $(CARGO_BUILD_TARGET),$(shell rustc -vV | sed -n 's/^host: //p'))
# One after the other, never --workspace: that would merge the server's crate features into the updater.
CRATES := ops-wire ops-package ops-updater ops-meta fleet-sim

.PHONY: build deps test test-full lint check demo bench fuzz size clean

build:
	cargo build --profile host -p ops-updater
	cargo build --release -p ops-meta
	cargo build --release -p fleet-sim
	@$(call put,host/ops-updater)
	@$(call put,release/ops-meta)
	@$(call put,release/fleet-sim)

# A running program cannot be written over, but it can be replaced.
put = mkdir -p dist && cp $(TARGET_DIR)/$(TUPLE)/$(1) dist/$(notdir $(1)).new && mv -f dist/$(notdir $(1)).new dist/$(notdir $(1))

# Other people's programs that tests and demo use. No service is installed or started.
deps:
	packaging/deps.sh

test: deps
	$(MAKE) build
	set -e; for crate in $(CRATES); do cargo test -p $$crate; done
	OPS_BIN_DIR=$(CURDIR)/dist cargo test -p e2e

# The tests print how many points there were and how long it took; 2 cores need about ten minutes.
test-full: deps
	$(MAKE) build
	OPS_FULL=1 cargo test -p ops-updater nothing_grows -- --nocapture
	OPS_FULL=1 cargo test -p ops-meta nothing_acknowledged -- --nocapture
	OPS_FULL=1 cargo test -p ops-meta whatever_goes_wrong -- --nocapture
	OPS_FULL=1 OPS_BIN_DIR=$(CURDIR)/dist cargo test -p e2e --test sweeps --test sick_agents -- --nocapture

# The fuzz targets are only looked at: a library that need not be there spares the C++ compiler.
lint:
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	set -e; for crate in $(CRATES) e2e; do cargo clippy -p $$crate --all-targets -- -D warnings; done
	CUSTOM_LIBFUZZER_PATH=/nowhere/libfuzzer.a cargo clippy --manifest-path fuzz/Cargo.toml --lib --bins -- -D warnings

check: deps
	$(MAKE) lint
	$(MAKE) test

# Each target for this long.
fuzz: export FUZZ_SECS ?= 30
fuzz:
	fuzz/run

demo: deps
	$(MAKE) build
	demo/run

bench: deps
	$(MAKE) build
	OPS_BIN_DIR=$(CURDIR)/dist cargo bench --quiet --profile dev -p e2e --bench figures --bench server -- $(ONLY)

size: build
	@for it in dist/ops-updater dist/ops-meta; do wc -c <$$it | awk -v it=$$it '{printf "%-18s %9d bytes  %.2f MB\n", it, $$1, $$1 / 1e6}'; done

clean:
	cargo clean
	rm -rf dist target/debian target/schemathesis
