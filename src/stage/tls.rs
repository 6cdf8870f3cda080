//! What is known of a client's TLS.

use super::certificate::Certificate;
use super::fingerprint::Fingerprint;

/// A client's TLS, once its handshake is done.
#[derive(Debug)]
pub struct Tls {
    /// The version: `1.2` or `1.3`.
    pub version: &'static str,
    /// The cipher suite, as IANA names it.
    pub cipher: &'static str,
    /// The host it has asked for (SNI), lower case: which certificate it was shown, and not yet which route it wants.
    pub server_name: Option<Box<str>>,
    /// Whether it went on with an earlier session. Its certificate was verified then.
    pub is_resumed: bool,
    /// The client's own certificate, which its listener has verified; none where it was asked for none, or has shown none.
    pub certificate: Option<Box<Certificate>>,
    /// The authorities by which it was verified, as far as they can be told from others.
    pub trusted_by: Option<Fingerprint>,
}
