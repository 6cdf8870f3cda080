//! A certificate, and the key that goes with it.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::table::CertificateFiles;
use crate::stage::build::Build;
use crate::stage::certificate::Certificate;
use crate::stage::pem;
use crate::wire::tls::provider;

use super::warnings;

/// A certificate that can be shown, and what it says.
pub(super) struct Certified {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) says: Certificate,
}

/// Reads a certificate and its key, which stand at these keys of the table at `at`; `is_server` where clients are shown it.
pub(super) fn certified(files: &CertificateFiles, at: &KeyPath, is_server: bool, build: &mut Build<'_>) -> Result<Certified, Faults> {
    let (at_cert, at_key) = (at.key("cert"), at.key("key"));
    let chain = build.read(at_cert.clone(), &files.cert).and_then(|bytes| pem::certificates(&bytes, &files.cert, &at_cert));
    let key = build.read(at_key.clone(), &files.key).and_then(|bytes| pem::key(&bytes, &files.key, &at_key));
    let (chain, key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err(Faults([chain.err(), key.err()].into_iter().flatten().collect())),
    };
    let cert = files.cert.display();
    let says = Certificate::read(&chain).map_err(|why| Fault::new(at_cert.clone(), format!("the certificate in {cert} {why}")))?;
    let signer = provider().key_provider.load_private_key(key).map_err(|error| unusable(&error, files, &at_key))?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        // A key that does not say what its public half is may be the right one.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => {
            let fault = Fault::new(at_key, format!("{} is not the key of {cert}", files.key.display())).also(at_cert, "the certificate");
            return Err(fault.hint("where the file holds several certificates, the one for the key comes first").into());
        }
        Err(error) => return Err(Fault::new(at_cert, format!("the certificate in {cert} is not one for TLS: {error}")).into()),
    }
    warnings::judge(&says, &files.cert, &at_cert, is_server, SystemTime::now(), &mut build.warnings);
    Ok(Certified { key: Arc::new(certified), says })
}

fn unusable(error: &Error, files: &CertificateFiles, at: &KeyPath) -> Fault {
    let fault = Fault::new(at.clone(), format!("the key in {} cannot be used: {error}", files.key.display()));
    fault.hint("keys are P-256, P-384, P-521, Ed25519, or RSA of 2048 to 8192 bits")
}
