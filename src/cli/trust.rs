//! Whom `wsgate connect` trusts to say who a server is.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::world::{Machine, World};
use crate::wire::tls::connect::Connector;

use super::Failure;

/// Speaks TLS with servers whose certificates an authority of this file has issued; without a file, one that this machine trusts.
pub(super) fn trusting(file: Option<&Path>) -> Result<Connector, Failure> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            let wrong = |why: &dyn std::fmt::Display| Failure::could(format!("{}: {why}", file.display()));
            let bytes = std::fs::read(file).map_err(|error| wrong(&error))?;
            for authority in CertificateDer::pem_slice_iter(&bytes) {
                roots.add(authority.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
            }
            if roots.is_empty() {
                return Err(wrong(&"there is no certificate in it"));
            }
        }
        None => {
            let found = Machine.authorities().unwrap_or_default();
            roots.add_parsable_certificates(found.into_iter().map(CertificateDer::from));
            if roots.is_empty() {
                return Err(Failure::could("this machine trusts no authority; name one with --ca FILE"));
            }
        }
    }
    Connector::new(roots, None, None).map_err(Failure::could)
}
