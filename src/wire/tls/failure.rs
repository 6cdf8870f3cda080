//! Why TLS has not come about, in words: a few that are counted by, and a sentence for the log.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::stage::Refusal;
use crate::stage::refusal::TLS_FAILED;

/// A handshake that failed; the peer is "it".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is, of few there are.
    pub word: &'static str,
    /// What is known of it.
    pub detail: String,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(word: &'static str, detail: impl Into<String>) -> Self {
        Self { word, detail: detail.into() }
    }

    /// What lies behind an error of a stream under TLS.
    pub(super) fn of(error: &io::Error) -> Self {
        match tls_error(error) {
            Some(error) => Self::of_error(error),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::new("cut", "it ended in the middle of the handshake"),
            None => Self::new("lost", error.to_string()),
        }
    }

    /// What lies behind an error of a stream that TLS may be the cause of, after the handshake: none where it is not.
    pub fn behind(error: &io::Error) -> Option<Self> {
        tls_error(error).map(Self::of_error)
    }

    /// What lies behind an error of TLS itself.
    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
    pub fn of_tls(error: Error) -> Self {
        Self::of_error(&error)
    }

    fn of_error(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::new("no_certificate", "it has shown no certificate"),
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::NoApplicationProtocol => Self::new("alpn", "it speaks no protocol of ours within TLS"),
            Error::AlertReceived(alert) => Self::new("alert", in_words(*alert)),
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::new("no_tls", "what it sends is not TLS"),
            Error::PeerIncompatible(error) => Self::of_incompatible(error),
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::DecryptError
            | Error::PeerMisbehaved(_)
            | Error::PeerSentOversizedRecord => Self::new("malformed", error.to_string()),
            _ => Self::new("other", error.to_string()),
        }
    }

    fn of_incompatible(error: &PeerIncompatible) -> Self {
        match error {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled => Self::new("version", "it speaks no version of TLS that is spoken here"),
            PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
            | PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon => {
                Self::new("cipher", "it has no cipher suite, key exchange or signature in common with us")
            }
            other => Self::new("incompatible", format!("{other:?}")),
        }
    }

    fn unsigned() -> Self {
        Self::new("bad_signature", "its certificate is signed by no key, or in no way, that is trusted")
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::new("expired", "its certificate has expired"),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::new("not_yet_valid", "its certificate is not valid yet")
            }
            CertificateError::UnknownIssuer => Self::new("unknown_issuer", "its certificate's issuer is not trusted"),
            CertificateError::NotValidForName => Self::new("other_name", "its certificate is for other names"),
            CertificateError::NotValidForNameContext { expected, presented } => {
                let names = if presented.is_empty() { "for no name at all".to_owned() } else { format!("for {}", list(presented)) };
                Self::new("other_name", format!("its certificate is {names}, not for {}", expected.to_str()))
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::new("purpose", "its certificate is not meant for this side of TLS (extendedKeyUsage)")
            }
            CertificateError::BadSignature => Self::new("bad_signature", "its certificate is not signed by whom it says"),
            #[expect(deprecated, reason = "the library itself may still say so")]
            CertificateError::UnsupportedSignatureAlgorithm => Self::unsigned(),
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::unsigned(),
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                Self::new("ca", "its certificate is an authority's (basicConstraints has CA:TRUE)")
            }
            other => Self::new("certificate", format!("its certificate is not accepted: {other}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl From<Failure> for Box<Refusal> {
    /// Nobody is told: there is nothing to tell it over.
    fn from(failure: Failure) -> Self {
        Box::new(Refusal::new(TLS_FAILED).rule(format!("{}: {}", failure.word, failure.detail)).at(failure.word))
    }
}

/// A few names, and how many more there are: a certificate may have thousands.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 4;
    // The library writes them as `DnsName("chat.internal")`.
    let bare = |name: &String| name.split(['"', '(', ')']).filter(|part| !part.is_empty()).nth(1).unwrap_or(name).to_owned();
    let shown = names.iter().take(SHOWN).map(bare).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What a peer means by an alert (RFC 8446 §6.2).
fn in_words(alert: AlertDescription) -> String {
    let meaning = match alert {
        AlertDescription::UnknownCA => "it does not trust the issuer of our certificate",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown | AlertDescription::UnsupportedCertificate => {
            "it does not accept our certificate"
        }
        AlertDescription::CertificateExpired => "our certificate has expired, by its clock",
        AlertDescription::CertificateRevoked => "our certificate has been revoked",
        AlertDescription::CertificateRequired => "it asks for a certificate of ours",
        AlertDescription::AccessDenied => "it denies us access",
        AlertDescription::ProtocolVersion => "it speaks another version of TLS",
        AlertDescription::UnrecognisedName => "it does not know the name it was asked for",
        AlertDescription::NoApplicationProtocol => "it does not speak HTTP/1.1 within TLS",
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => "it has no cipher suite or key in common with us",
        AlertDescription::UserCanceled | AlertDescription::CloseNotify => "it has broken the handshake off",
        _ => "it has ended the handshake",
    };
    format!("{meaning} (alert {alert:?})")
}
