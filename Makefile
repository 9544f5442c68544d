# The recipes that CONTRIBUTING.md names and CI runs. `make ci` is all of them.

TEST_PACKAGE := tower-linger-tests
export RUSTDOCFLAGS := -D warnings

.PHONY: demo fmt lint features test doc msrv examples wire foreign page nginx peers zoo portable windows bench-build counts table ci needs

demo: ## The side-by-side demo on a real upload
	cargo run --release -p linger-probe -- demo

fmt: ## Is everything formatted?
	cargo fmt --all --check

lint: ## clippy, warnings denied
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	cargo clippy -p $(TEST_PACKAGE) --test foreign --test behind_nginx --test wire_outcomes -- -D warnings
	cargo clippy -p tower-linger-benches --benches -- -D warnings
	cargo clippy -p linger-probe --test browser --test nginx --test compare -- -D warnings

features: ## Every feature alone, and none
	cargo check -p tower-linger
	for feature in axum axum-server http hyper rustls tonic tracing; do cargo check -p tower-linger --features $$feature || exit 1; done

test: ## Everything that needs nothing but Rust
	cargo test --workspace --all-features

doc: ## Public documentation, warnings denied
	cargo doc --workspace --all-features --no-deps --exclude tower-linger-tests --exclude tower-linger-examples --exclude tower-linger-windows --exclude tower-linger-benches

msrv: ## Is `rust-version` what the dependencies need?
	sh tests/msrv.sh

examples: ## Each example server, started, used by curl, stopped: needs curl, openssl and strace
	cargo build --examples
	sh tests/examples.sh

foreign: ## Peers that are not ours: needs curl, gnutls-cli, nginx, openssl and Python with `requests`
	cargo test -p $(TEST_PACKAGE) --test foreign --test behind_nginx

wire: ## Each outcome caused for real: needs nft and ss
	cargo test -p $(TEST_PACKAGE) --test wire_outcomes

page: ## The probe's page in a real browser: needs Chromium and its driver
	cargo test -p linger-probe --test browser

nginx: ## The probe against nginx: needs nginx
	cargo test -p linger-probe --test nginx

peers: ## The probe starts servers of all kinds and tells them apart: needs Apache, Go, HAProxy, lighttpd and nginx
	cargo test -p linger-probe --test compare

zoo: ## Servers of Debian, PyPI and npm under the probe and under other clients, and the table in its README anew: installs what it needs (Debian, as root), half an hour; not in CI
	cargo build --release -p linger-probe
	python3 -B tests/zoo/run.py

portable: ## The code of systems that are not Linux, tried on Linux, in a target directory of its own: three minutes from scratch
	set -e; export CARGO_TARGET_DIR="$${CARGO_TARGET_DIR:-target}/portable" RUSTFLAGS="$$RUSTFLAGS --cfg tower_linger_portable"; \
		cargo test -p tower-linger --all-features --lib; \
		cargo test -p $(TEST_PACKAGE) --test endings --test drop_safety --test transports

windows: ## A server built for Windows, by Wine, and a client on Linux: installs what it needs (Debian, as root); not in CI
	apt-get update -q
	apt-get install -yq --no-install-recommends gcc-mingw-w64-x86-64 wine wine64
	sh tests/windows/run.sh

bench-build: ## Do the benches still build?
	cargo bench --workspace --no-run

counts: ## Instructions of a request and of a connection, against the committed baseline: needs valgrind and gungraun-runner
	python3 benches/counts.py

table: ## The whole table of what a close costs, and the plots in docs/, anew: a quarter of an hour, as root, with what `needs` installs
	python3 benches/counts.py
	for bench in connections closes memory drain fairness release scale peers table; do \
		cargo bench -q -p tower-linger-benches --bench $$bench || exit 1; done

needs: ## Installs what `examples`, `wire`, `foreign`, `page`, `nginx`, `peers` and `counts` need (Debian, as root)
	apt-get update -q
	RUNLEVEL=1 apt-get install -yq --no-install-recommends apache2 chromium chromium-driver curl gnutls-bin golang-go haproxy libjemalloc2 lighttpd lighttpd-mod-openssl openssl iproute2 nftables nginx procps python3 python3-requests strace valgrind
	command -v gungraun-runner || cargo install gungraun-runner --version 0.20.0 --locked

ci: fmt lint features msrv doc test portable examples bench-build counts wire foreign page nginx peers
