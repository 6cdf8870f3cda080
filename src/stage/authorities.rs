//! Whom the gateway trusts to say who a peer is: authorities out of a file, or those of this machine.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::config::fault::{Fault, KeyPath};

use super::{Build, pem};

/// The authorities of a file that the table names at `at`, and their certificates.
///
/// # Errors
/// A fault there: the file cannot be read, or holds something else.
pub fn of_file(file: &Path, at: &KeyPath, build: &mut Build<'_>) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), Fault> {
    let found = pem::certificates(&build.read(at.clone(), file)?, file, at)?;
    let mut roots = RootCertStore::empty();
    for (index, authority) in found.iter().enumerate() {
        let wrong = |error| Fault::new(at.clone(), format!("certificate {} of {} is no authority's: {error}", index + 1, file.display()));
        roots.add(authority.clone()).map_err(wrong)?;
    }
    Ok((roots, found))
}

/// The authorities that this machine trusts; `at` is what asks for them.
///
/// # Errors
/// A fault there: it trusts none, or is not to be looked at.
pub fn of_system(at: &KeyPath, build: &Build<'_>) -> Result<RootCertStore, Fault> {
    let found = build.world().authorities().ok_or_else(|| Fault::unknown(at.clone(), "the authorities that this machine trusts"))?;
    let mut roots = RootCertStore::empty();
    let found: Vec<CertificateDer<'_>> = found.into_iter().map(CertificateDer::from).collect();
    // Among those of a system there may be some that nobody can read any more.
    let (added, _) = roots.add_parsable_certificates(found);
    if added == 0 {
        let fault = Fault::new(at.clone(), "this machine trusts no authority to say who servers are");
        return Err(fault.hint("install its `ca-certificates`, or name an authority of your own with `tls = { ca = \"ca.pem\" }`"));
    }
    Ok(roots)
}
