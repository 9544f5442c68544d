//! rustls.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use linger_proto::Failure;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::Error as TlsError;
use tokio_rustls::server::{FallibleAccept, TlsStream};

use super::library::{AcceptTls, AwaitsCloseNotify};
use crate::transport::Transport;

impl AcceptTls for TlsAcceptor {
    type Stream<T: Transport> = TlsStream<T>;
    type Handshake<T: Transport> = RustlsHandshake<T>;

    fn accept<T: Transport>(&self, io: T) -> RustlsHandshake<T> {
        RustlsHandshake(TlsAcceptor::accept(self, io).into_fallible())
    }

    fn failure_reason(error: &io::Error) -> &'static str {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(TlsError::AlertReceived(_)) => "alert_received",
            Some(TlsError::InvalidCertificate(_)) => "invalid_certificate",
            Some(TlsError::InvalidMessage(_)) => "invalid_message",
            Some(TlsError::NoApplicationProtocol) => "no_application_protocol",
            Some(TlsError::NoCertificatesPresented) => "no_certificate",
            Some(TlsError::PeerIncompatible(_)) => "incompatible",
            Some(_) => "tls",
            None => Failure::from(error).as_str(),
        }
    }
}

impl AwaitsCloseNotify for TlsAcceptor {}

/// A handshake of rustls.
pub struct RustlsHandshake<T>(FallibleAccept<T>);

impl<T: Transport> Future for RustlsHandshake<T> {
    type Output = Result<TlsStream<T>, (io::Error, Option<T>)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|(error, io)| (error, Some(io)))
    }
}

impl<T> std::fmt::Debug for RustlsHandshake<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RustlsHandshake").finish_non_exhaustive()
    }
}
