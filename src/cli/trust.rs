//! Whom `wsgate connect` trusts to say who a server is, and what it shows of itself.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::world::{Machine, World};
use crate::wire::tls::connect::Connector;
use crate::wire::tls::provider;

use super::Failure;

/// Speaks TLS with servers whose certificates an authority of the file `ca` has issued, or without it one that this machine trusts; shows
/// them the certificate of `own`, with its key, where they ask for one.
pub(super) fn trusting(ca: Option<&Path>, own: Option<(&Path, &Path)>) -> Result<Connector, Failure> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            for authority in certificates(file)? {
                roots.add(authority).map_err(|error| wrong(file, error))?;
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
    let own = own.map(|(cert, key)| shown(cert, key)).transpose()?;
    Connector::new(roots, own, None).map_err(Failure::could)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bytes = std::fs::read(file).map_err(|error| wrong(file, error))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|error| wrong(file, error))?;
    if found.is_empty() { Err(wrong(file, "there is no certificate in it")) } else { Ok(found) }
}

fn shown(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, Failure> {
    let read = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error))?;
    CertifiedKey::from_der(certificates(cert)?, read, provider()).map(Arc::new).map_err(|error| wrong(key, error))
}

fn wrong(file: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::could(format!("{}: {why}", file.display()))
}
