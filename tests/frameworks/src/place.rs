//! Where a server listens.

use std::net::SocketAddr;

use crate::certificate::Certificate;

/// Where a server listens, over TLS if there is a certificate.
pub struct Place {
    pub address: SocketAddr,
    pub certificate: Option<Certificate>,
}
