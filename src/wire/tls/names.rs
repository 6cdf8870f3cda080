//! Which certificate a client is shown: by the name it asks for (SNI, RFC 6066 §3).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates with their keys, by the names they are for.
#[derive(Debug)]
pub struct Certificates {
    /// For a client that names nobody, or somebody else.
    first: Arc<CertifiedKey>,
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what stands behind `*.`.
    wild: HashMap<Box<str>, Arc<CertifiedKey>>,
}

impl Certificates {
    /// Only this one, whatever is asked for.
    pub fn new(first: Arc<CertifiedKey>) -> Self {
        Self { first, exact: HashMap::new(), wild: HashMap::new() }
    }

    /// Shows it to who asks for this name, in lower case; `*.` stands for one label.
    pub fn add(&mut self, name: &str, certificate: Arc<CertifiedKey>) {
        match name.strip_prefix("*.") {
            Some(behind) => self.wild.insert(behind.into(), certificate),
            None => self.exact.insert(name.into(), certificate),
        };
    }

    fn find(&self, name: &str) -> &Arc<CertifiedKey> {
        let name = name.to_ascii_lowercase();
        let wild = || name.split_once('.').and_then(|(_, behind)| self.wild.get(behind));
        self.exact.get(&*name).or_else(wild).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(hello.server_name().map_or(&self.first, |name| self.find(name)).clone())
    }
}
