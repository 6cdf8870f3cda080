//! TLS 1.2 and 1.3 under a connection: [`accept`] ends a client's, [`connect`] begins one with a server.

pub mod accept;
pub mod carrier;
pub mod connect;
pub mod failure;
pub mod names;
pub mod resumption;

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// What is spoken within TLS, by its name in ALPN (RFC 7301); to clients, HTTP/2 beside it. What is offered has to be served: a client
/// that knows several is given the first of ours.
const HTTP_1_1: &[u8] = b"http/1.1";

/// The cryptography of all TLS here, whatever else the process has installed.
pub fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    &PROVIDER
}
