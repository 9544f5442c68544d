#![no_main]
//! Bytes of any kind around the end of an OpenSSL session.

use libfuzzer_sys::fuzz_target;
use openssl::ssl::SslAcceptor;
use tower_linger_fuzz::tail::{Case, play};

fuzz_target!(|case: Case| play::<SslAcceptor>(&case));
