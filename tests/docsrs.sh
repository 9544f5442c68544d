#!/bin/sh
# A RUSTDOC that takes unstable features, as docs.rs's does. The compiler does not take them, so that nothing is built anew.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
