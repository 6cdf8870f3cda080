//! What a certificate says (RFC 5280), as far as anybody here goes by it.

mod allow;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use x509_cert::der::Decode;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};

use super::sha256::Sha256;

pub use allow::{Allow, Fingerprint, Host};

/// What a certificate says: copies, small and owned. Only [`read`](Self::read) makes one; that it was verified is its owner's to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The subject, as RFC 4514 writes it: `CN=alice,O=Example`.
    pub subject: Box<str>,
    /// The subject's common name.
    pub cn: Option<Box<str>>,
    /// Names of hosts, lower case.
    pub dns: Box<[Box<str>]>,
    /// URIs, as `spiffe://example.com/chat`.
    pub uri: Box<[Box<str>]>,
    /// Mail addresses.
    pub email: Box<[Box<str>]>,
    /// Addresses.
    pub ip: Box<[IpAddr]>,
    /// The SHA-256 of its DER, which is what tools print as its fingerprint.
    pub fingerprint: Sha256,
    /// The serial number, in hex.
    pub serial: Box<str>,
    /// Its first moment.
    pub not_before: SystemTime,
    /// Its last moment.
    pub not_after: SystemTime,
    /// Whether it is an authority's (`basicConstraints`).
    pub is_ca: bool,
    /// Itself and those it was shown with, in DER.
    chain: Box<[Box<[u8]>]>,
}

impl Certificate {
    /// Reads the first of a chain in DER.
    ///
    /// # Errors
    /// Why it cannot be read, as what follows "the certificate".
    pub fn read<D: AsRef<[u8]>>(chain: &[D]) -> Result<Self, String> {
        let der = chain.first().ok_or("is not there")?.as_ref();
        let unreadable = |error: x509_cert::der::Error| format!("cannot be read: {error}");
        let read = x509_cert::Certificate::from_der(der).map_err(unreadable)?;
        let says = read.tbs_certificate();
        let names = says.get_extension::<SubjectAltName>().map_err(unreadable)?.map(|(_, names)| names.0).unwrap_or_default();
        let constraints = says.get_extension::<BasicConstraints>().map_err(unreadable)?;
        let texts = |text: fn(&GeneralName) -> Option<&str>| names.iter().filter_map(text).map(Into::into).collect();
        let dns: Box<[Box<str>]> = texts(|name| if let GeneralName::DnsName(name) = name { Some(name.as_str()) } else { None });
        Ok(Self {
            subject: says.subject().to_string().into(),
            cn: says.subject().common_name().ok().flatten().map(|name| name.value().into()),
            dns: dns.iter().map(|name| name.to_ascii_lowercase().into()).collect(),
            uri: texts(|name| if let GeneralName::UniformResourceIdentifier(name) = name { Some(name.as_str()) } else { None }),
            email: texts(|name| if let GeneralName::Rfc822Name(name) = name { Some(name.as_str()) } else { None }),
            ip: names.iter().filter_map(address).collect(),
            fingerprint: Sha256::of(der),
            serial: hex(says.serial_number().as_bytes()).into(),
            not_before: says.validity().not_before.to_system_time(),
            not_after: says.validity().not_after.to_system_time(),
            is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
            chain: chain.iter().map(|der| der.as_ref().into()).collect(),
        })
    }

    /// Itself and those it was shown with, in DER.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.chain.iter().map(|der| &**der)
    }
}

fn address(name: &GeneralName) -> Option<IpAddr> {
    let GeneralName::IpAddress(bytes) = name else { return None };
    let v4 = || Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.as_bytes()).ok()?).into());
    v4().or_else(|| Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_bytes()).ok()?).into()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
