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
cargo-cyclonedx := 0.5.9
cargo-deny := 0.20.2
cargo-hack := 0.6.46
cargo-machete := 0.9.2
cargo-mutants := 27.1.0
cargo-semver-checks := 0.51.0
gungraun-runner := 0.20.0

# What BASE is for `semver` and `mutants`: where this branch left main, or, on main, the commit before this one.
BASE ?= $(shell git merge-base HEAD origin/main 2>/dev/null | grep -vx "$$(git rev-parse HEAD)" || git rev-parse HEAD~1)

export RUSTDOCFLAGS := -D warnings

RECIPES := fmt lint features msrv doc api test external portable interleavings interleavings-faults examples prometheus counts gates wire foreign judges rolling page nginx compare publish manifests
.PHONY: $(RECIPES) ci recipes fuzz attack captures demo semver deny mutants unused sbom minimal-versions msrv-c miri coverage licences zoo windows targets frameworks soak table needs packages tools

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
# Other names for all features, which `lint` has, and for the default, which is either nothing or one feature.
NAMES := default,full
# How many features are tried together. `.ci/run` tries each alone, and leaves the pairs to the workflow.
DEPTH ?= 2

features: ## Every feature of the published crates alone, none, and every two of them: needs cargo-hack and OpenSSL's headers
	cargo hack clippy $(PUBLISHED) --feature-powerset --depth $(DEPTH) --exclude-features $(ALONE),$(NAMES) --keep-going -- -D warnings
	cargo hack clippy -p tower-linger --each-feature --exclude-no-default-features --exclude-all-features --include-features $(ALONE) --keep-going -- -D warnings

msrv: ## Do the published libraries build with the oldest Rust that they promise? But for features that compile C. Needs rustup's, or Debian
	sh tests/msrv.sh --without-c

msrv-c: ## As `msrv`, and the features that compile C, which takes longer than everything else
	sh tests/msrv.sh

# The example, which stands for all, lets cargo choose the dependencies' features as it does for `lint`, which has checked them.
DOC := cargo doc --workspace --all-features --no-deps --lib --example axum

doc: ## The documentation of all libraries, warnings denied
	$(DOC)

# The JSON is of a rustdoc that takes unstable flags.
api: export RUSTDOC = $(CURDIR)/tests/docsrs.sh
api: export RUSTDOCFLAGS = -Z unstable-options --output-format json
api: ## The public API of each published crate, against docs/api/; after an intended change: `UPDATE=1 make api`
	$(DOC)
	JSON=$(abspath $(or $(CARGO_TARGET_DIR),target))/doc $(SUITES) --test api

# Leaves out the crates that BASE does not have.
semver: ## Does the API break what BASE has? Needs cargo-semver-checks
	cargo semver-checks --all-features --baseline-rev $(BASE) $$(for name in $(filter-out -p,$(PUBLISHED)); do \
		! git cat-file -e $(BASE):crates/$$name/Cargo.toml 2>/dev/null || echo -p $$name; done)

# A mutant is a small change of a line; a test has to fail. docs/proof/mutants.tsv has what became of each.
mutants: ## Does a test fail for each change of the code? `FILES=part` tries some of its files only, `CHANGED=1` the lines that differ from BASE, `MISSED=1` those that none failed for. Needs cargo-mutants; all take hours
	$(if $(CHANGED),mkdir -p target && git diff $(BASE) -- crates >target/changed.diff)
	python3 -B tests/mutants/run.py $(if $(FILES),--files $(FILES)) $(if $(CHANGED),--changed target/changed.diff) $(if $(MISSED),--missed)

deny: ## Licences, bans, sources and advisories of the dependencies: needs cargo-deny and github.com
	cargo deny check

unused: ## Dependencies that nothing uses: needs cargo-machete
	cargo machete --with-metadata

minimal-versions: ## Do the published crates build with the oldest versions that their manifests allow? Compiles all of them once more
	python3 -B tests/minimal_versions.py

sbom: ## What each published crate consists of, as CycloneDX in target/sbom, checked against the schema: needs cargo-cyclonedx and Python's venv
	sh tests/sbom.sh

miri: ## What of the libraries' tests Miri can run, under Miri: needs a nightly Rust with the components miri and rust-src
	sh tests/miri.sh

coverage: ## Which lines and branches the tests run; writes docs/coverage.md. Needs llvm-cov of the compiler's LLVM, and what `wire` needs
	python3 -B tests/coverage.py

test: ## Everything that needs nothing but Rust and OpenSSL's headers
	$(SUITES)

# The package shares the target directory, and so the crates that it needs with the same features.
external: ## Transports of one's own, in a package outside of the workspace: needs OpenSSL's headers
	cargo fmt --manifest-path tests/external/Cargo.toml --check
	cargo test --manifest-path tests/external/Cargo.toml --target-dir $(or $(CARGO_TARGET_DIR),target)

# As a wrapper of the workspace's compiler, the flag leaves the dependencies as `test` has built them.
portable: ## The code for systems other than Linux, tested on Linux
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/tests/portable.sh $(SUITES) --lib --test endings --test drop_safety --test systems --test transports

interleavings: ## Connections, closes, timers and shutdowns under many schedules of their threads. ONE=test, INTERLEAVINGS=schedules, REPLAY=schedule
	bash tests/interleavings/run.sh

interleavings-faults: ## Faults, put into a copy of tower-linger one at a time: does `interleavings` find each? After `interleavings`
	python3 -B tests/interleavings/faults.py

# The corpora are small and kept in the repository; what a run finds new is not. Longer: `FUZZ_SECONDS=1800 make fuzz`.
fuzz: ## Each fuzz target from its corpus, FUZZ_SECONDS each (30): needs OpenSSL's headers and a C++ compiler
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	python3 -B fuzz/run.py

examples: ## Each example server is started, used by curl and stopped: needs curl, openssl and strace
	cargo build --workspace --all-features --examples
	sh tests/examples.sh
	python3 -B tests/reference_server.py

prometheus: ## A real Prometheus scrapes the example server; the dashboard's queries and the alert rules: needs prometheus and promtool
	cargo build --workspace --all-features --example metrics
	python3 -B tests/prometheus/run.py

foreign: ## Clients and proxies of others: needs curl, gnutls-cli, nginx, openssl and Python with `requests`
	$(SUITES) --test foreign --test behind_nginx

judges: ## Clients in ten languages, broken TLS, HTTP/2 and WebSocket, slow attacks, five proxies: compares the tables in docs/clients.md. Needs what `packages` has, and PyPI
	sh tests/judges.sh

rolling: ## Servers restarted one by one under load, behind balancers, lose nothing: needs HAProxy and nginx
	$(SUITES) --test rolling -- --nocapture

wire: ## Each outcome, caused on a real network and read back from its packets; faults under load. Needs ab, curl, haproxy, ip, libfaketime, libjemalloc, nft, nginx, openssl, ss, tc, tshark and wrk
	$(SUITES) --test wire_outcomes --test faults

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

gates: ## Bytes, allocations, system calls and segments of a connection, against the committed baseline: needs strace
	python3 -B benches/gates.py

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
	for bench in $(filter-out attack soak table,$(BENCHES)) table; do \
		cargo bench -q -p tower-linger-benches --bench $$bench || exit 1; done

soak: ## Every kind of ending at full speed: is anything left? 20 s; `SOAK_MINUTES=30 make soak` keeps the figures and draws docs/soak.svg. Needs libjemalloc
	cargo bench -q -p tower-linger-benches --bench soak
	test -z "$$SOAK_MINUTES" || cargo bench -q -p tower-linger-benches --bench table

# `make attack ATTACK="--rounds 1 --window 5 --hostile 1000"` is a short form.
attack: ## Good clients beside ten thousand hostile connections, against this server, nginx and hyper in turns; then as `table` does. As root, with what `needs` installs, on two idle cores; takes 20 minutes
	cargo bench -q -p tower-linger-benches --bench attack -- $(ATTACK)
	cargo bench -q -p tower-linger-benches --bench table

needs: packages tools ## Installs what the recipes of `ci` need (Debian, as root)

packages:
	apt-get update -q
	RUNLEVEL=1 apt-get install -yq --no-install-recommends apache2 apache2-utils caddy chromium chromium-driver curl default-jre-headless g++ gdb gnutls-bin golang-go haproxy libfaketime libjemalloc2 libssl-dev libwww-perl liblwp-protocol-https-perl lighttpd lighttpd-mod-openssl openssl iproute2 nftables nginx node-ws nodejs php-cli php-curl pkg-config procps prometheus python3 python3-requests python3-venv ruby slowhttptest strace tshark valgrind wget wrk

# Others compile for several minutes each, so they are not in here: `make install-cargo-deny`, for example.
tools: install-cargo-hack install-gungraun-runner

install-%:
	command -v $* || cargo install $* --version $($*) --locked

pinned-%: ## A tool as taiki-e/install-action wants it: `make pinned-cargo-deny`
	@echo $*@$($*)
