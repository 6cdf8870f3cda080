//! Certificates and keys out of files in PEM (RFC 7468), and what is there instead where they are not.

use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::fault::{Fault, KeyPath};

/// Every certificate in a file, in its order: at least one.
///
/// # Errors
/// A fault at `at` that says what the file holds instead.
pub fn certificates(bytes: &[u8], file: &Path, at: &KeyPath) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let found: Result<Vec<_>, Error> = CertificateDer::pem_slice_iter(bytes).collect();
    let found = found.map_err(|error| unreadable(&error, file, at))?;
    if !found.is_empty() {
        return Ok(found);
    }
    let fault = Fault::new(at.clone(), format!("{} holds no certificate", file.display()));
    Err(match bytes {
        _ if has(bytes, "PRIVATE KEY-----") => fault.hint("it holds a private key: the certificate is in another file"),
        _ if has(bytes, "CERTIFICATE REQUEST-----") => fault.hint("it holds a request: name what the authority has answered it with"),
        [0x30, ..] => {
            fault.hint(format!("it is in DER: write it in PEM with: openssl x509 -inform DER -in {} -out cert.pem", file.display()))
        }
        _ => fault.hint("a certificate in PEM begins with -----BEGIN CERTIFICATE-----"),
    })
}

/// The first private key in a file.
///
/// # Errors
/// A fault at `at` that says what the file holds instead.
pub fn key(bytes: &[u8], file: &Path, at: &KeyPath) -> Result<PrivateKeyDer<'static>, Fault> {
    if has(bytes, "BEGIN ENCRYPTED PRIVATE KEY-----") || has(bytes, "Proc-Type: 4,ENCRYPTED") {
        let fault =
            Fault::new(at.clone(), format!("the key in {} is encrypted, and nobody is there to ask for its passphrase", file.display()));
        return Err(fault.hint(format!("write it without: openssl pkey -in {} -out key.pem", file.display())));
    }
    match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(key) => Ok(key),
        Err(Error::NoItemsFound) => {
            let fault = Fault::new(at.clone(), format!("{} holds no private key", file.display()));
            Err(match bytes {
                _ if has(bytes, "BEGIN CERTIFICATE-----") => fault.hint("it holds a certificate: its key is in another file"),
                [0x30, ..] => {
                    fault.hint(format!("it is in DER: write it in PEM with: openssl pkey -inform DER -in {} -out key.pem", file.display()))
                }
                _ => fault.hint("a private key in PEM begins with -----BEGIN PRIVATE KEY-----"),
            })
        }
        Err(error) => Err(unreadable(&error, file, at)),
    }
}

/// Whether a file has this word in one of its lines.
fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// A file that begins to be PEM and is not. What it holds is not told: it may be a key.
fn unreadable(error: &Error, file: &Path, at: &KeyPath) -> Fault {
    let why = match error {
        Error::MissingSectionEnd { .. } => "its last section has no end",
        Error::IllegalSectionStart { .. } => "a section begins with no name",
        Error::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be read",
    };
    Fault::new(at.clone(), format!("{} is not PEM: {why}", file.display()))
}
