# What CONTRIBUTING.md names and CI runs. `make ci` is what `.ci/run` and the workflow have in common.
#
# Suites are run with `--workspace --all-features`, also where one test is asked for: cargo chooses the features of the
# dependencies by the packages that it is given, so anything else would compile most of them once more.

SUITES := cargo test --workspace --all-features
# The crates that are for crates.io, as `-p NAME`.
PUBLISHED = $(shell cargo metadata --no-deps --format-version 1 | \
	python3 -c 'import json, sys; print(*("-p " + p["name"] for p in json.load(sys.stdin)["packages"] if p["publish"] is None))')
# In the order of benches/Cargo.toml.
BENCHES := $(shell sed -n 's/^    { name = "\([a-z_]*\)".*/\1/p' benches/Cargo.toml)

# The versions of the tools. gungraun-runner's is the one of `gungraun` in benches/counts/Cargo.toml.
cargo-deny := 0.20.2
cargo-hack := 0.6.46
cargo-semver-checks := 0.51.0
gungraun-runner := 0.20.0

# What BASE is for `semver`: where this branch left main, or, on main, the commit before this one.
BASE ?= $(shell git merge-base HEAD origin/main 2>/dev/null | grep -vx "$$(git rev-parse HEAD)" || git rev-parse HEAD~1)

export RUSTDOCFLAGS := -D warnings

RECIPES := fmt lint features msrv doc test external portable examples prometheus counts wire foreign rolling page nginx compare publish manifests
.PHONY: $(RECIPES) ci recipes captures demo semver deny licences zoo windows targets frameworks table needs packages tools

ci: $(RECIPES)

recipes: ## The names of what `ci` runs
	@echo $(RECIPES)

fmt: ## Is everything formatted?
	cargo fmt --all --check

lint: ## clippy of every target, warnings denied
	cargo clippy --workspace --all-features --all-targets -- -D warnings
	cargo clippy --workspace --all-features --test '*' -- -D warnings

# Libraries and frameworks that no other feature's code depends on. They are not paired, because each brings many crates.
ALONE := axum-server,native-tls,openssl,poem,s2n,salvo,tonic

features: ## Every feature of the published crates alone, none, and every two of them: needs cargo-hack and OpenSSL's headers
	cargo hack clippy $(PUBLISHED) --feature-powerset --depth 2 --exclude-features $(ALONE) --keep-going -- -D warnings
	cargo hack clippy -p tower-linger --each-feature --exclude-no-default-features --exclude-all-features --include-features $(ALONE) --keep-going -- -D warnings

msrv: ## Do the published libraries build with the oldest Rust that they promise? Needs rustup's, or Debian
	sh tests/msrv.sh

doc: ## The public documentation, warnings denied
	cargo doc $(PUBLISHED) --all-features --no-deps

# Leaves out the crates that BASE does not have.
semver: ## Does the API break what BASE has? Needs cargo-semver-checks
	cargo semver-checks --all-features --baseline-rev $(BASE) $$(for name in $(filter-out -p,$(PUBLISHED)); do \
		! git cat-file -e $(BASE):crates/$$name/Cargo.toml 2>/dev/null || echo -p $$name; done)

deny: ## Licences, bans, sources and advisories of the dependencies: needs cargo-deny and github.com
	cargo deny check

test: ## Everything that needs nothing but Rust and OpenSSL's headers
	$(SUITES)

# The package shares the target directory, and so the crates that it needs with the same features.
external: ## Transports of one's own, in a package outside of the workspace: needs OpenSSL's headers
	cargo fmt --manifest-path tests/external/Cargo.toml --check
	cargo test --manifest-path tests/external/Cargo.toml --target-dir $(or $(CARGO_TARGET_DIR),target)

# As a wrapper of the workspace's compiler, the flag leaves the dependencies as `test` has built them.
portable: ## The code for systems other than Linux, tested on Linux
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/tests/portable.sh $(SUITES) --lib --test endings --test drop_safety --test systems --test transports

examples: ## Each example server is started, used by curl and stopped: needs curl, openssl and strace
	cargo build --workspace --all-features --examples
	sh tests/examples.sh
	python3 -B tests/reference_server.py

prometheus: ## A real Prometheus scrapes the example server; the dashboard's queries and the alert rules: needs prometheus and promtool
	cargo build --workspace --all-features --example metrics
	python3 -B tests/prometheus/run.py

foreign: ## Clients and proxies of others: needs curl, gnutls-cli, nginx, openssl and Python with `requests`
	$(SUITES) --test foreign --test behind_nginx

rolling: ## Servers restarted one by one under load, behind balancers, lose nothing: needs HAProxy and nginx
	$(SUITES) --test rolling -- --nocapture

wire: ## Each outcome, caused on a real network and read back from its packets: needs nft, openssl, ss and tshark
	$(SUITES) --test wire_outcomes

captures: ## Public captures, which the folder CAPTURES has, are read as the table in tests/tests/captures says: needs tshark
	$(SUITES) --test captures --test mangled

page: ## The probe's page in a real browser: needs Chromium and its driver
	$(SUITES) --test browser

nginx: ## The probe against nginx: needs nginx
	$(SUITES) --test nginx

compare: ## The probe starts servers of all kinds and compares them: needs Apache, Go, HAProxy, lighttpd and nginx
	$(SUITES) --test compare

publish: ## Could the published crates be published? Their packages are built and read, and their documentation as on docs.rs. Uploads nothing
	python3 -B tests/publish.py $(PUBLISHED)

manifests: ## The manifests of deploy/ and the templates of .github, against their schemas; do the values fit together? Needs haproxy
	sh deploy/check.sh

counts: ## Instructions of a request and of a connection, against the committed baseline: needs valgrind and gungraun-runner
	python3 benches/counts/counts.py

demo: ## The same server bare and layered, side by side: fails if a layered row is not complete
	cargo run --release -p linger-probe -- demo

licences: ## Counts the licences of all dependencies anew, in docs/dependencies.md
	python3 -B tests/licences.py

zoo: ## Debian's, PyPI's and npm's servers under the probe and under other clients; writes the table in tests/zoo/README.md. Installs what it needs (Debian, as root); takes half an hour
	cargo build --release -p linger-probe
	python3 -B tests/zoo/run.py

windows: ## A server built for Windows runs under Wine, and a client on Linux judges it. Installs what it needs (Debian, as root)
	apt-get update -q
	apt-get install -yq --no-install-recommends gcc-mingw-w64-x86-64 wine wine64
	sh tests/windows/run.sh

targets: ## The published libraries, compiled for macOS, BSD, Windows and others, and tested on 32-bit Linux and musl. Needs rustup; installs the rest (Debian, as root)
	apt-get update -q
	apt-get install -yq --no-install-recommends gcc-multilib musl-tools
	sh tests/targets.sh

# One of them compiles a library with CMake.
frameworks: ## Eight web frameworks, bare and hooked, refuse uploads: compares the table in docs/stacks.md. Compiles for many minutes
	command -v cmake || { apt-get update -q && apt-get install -yq --no-install-recommends cmake; }
	cargo fmt --check --manifest-path tests/frameworks/Cargo.toml
	cargo run --locked --manifest-path tests/frameworks/Cargo.toml

table: ## Runs all benches; writes the table in benches/README.md and the plots in docs/. As root, with what `needs` installs; takes a quarter of an hour
	python3 benches/counts/counts.py
	for bench in $(filter-out table,$(BENCHES)) table; do \
		cargo bench -q -p tower-linger-benches --bench $$bench || exit 1; done

needs: packages tools ## Installs what the recipes of `ci` need (Debian, as root)

packages:
	apt-get update -q
	RUNLEVEL=1 apt-get install -yq --no-install-recommends apache2 chromium chromium-driver curl gnutls-bin golang-go haproxy libjemalloc2 libssl-dev lighttpd lighttpd-mod-openssl openssl iproute2 nftables nginx pkg-config procps prometheus python3 python3-requests python3-venv strace tshark valgrind

# cargo-deny and cargo-semver-checks compile for several minutes each, so they are not in here: `cargo install` them by hand.
tools: install-cargo-hack install-gungraun-runner

install-%:
	command -v $* || cargo install $* --version $($*) --locked

pinned-%: ## A tool as taiki-e/install-action wants it: `make pinned-cargo-deny`
	@echo $*@$($*)
