//! Certificates as they are named, allowed and judged again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

use super::*;
use crate::config::fault::KeyPath;
use crate::stage::cells::Cells;
use crate::stage::sample;
use crate::stage::tls::Tls;

fn stage(text: &str) -> ClientCert {
    let cells = Cells::default();
    let mut build = Build::new(KeyPath::table("client_cert", "all"), Path::new("."), &cells);
    ClientCert::configure(toml::from_str(text).unwrap(), &mut build).unwrap()
}

/// A certificate with these changes.
fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::NoCa;
    change(&mut params);
    let issued = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    Certificate::read(&[issued.der()]).unwrap()
}

fn named(name: &str) -> Certificate {
    certificate(|params| params.distinguished_name.push(DnType::CommonName, name))
}

fn client(certificate: Option<Certificate>) -> Client {
    let mut client = sample::client(&[]);
    let certificate = certificate.map(Box::new);
    let tls = Tls { version: "1.3", cipher: "", server_name: None, is_resumed: false, certificate, trusted_by: None };
    client.peer.tls = Some(Arc::new(tls));
    client
}

fn said<T>(judged: Result<T, Box<Refusal>>) -> &'static str {
    judged.map_or_else(|refusal| refusal.outcome.id, |_| "")
}

fn handshake(stage: &ClientCert, client: &mut Client) -> &'static str {
    let Judgement::Now(verdict) = stage.handshake(client) else { panic!("it was to answer at once") };
    said(verdict)
}

#[test]
fn a_certificate_is_read_for_all_that_anybody_goes_by() {
    let read = certificate(|params| {
        params.distinguished_name.push(DnType::CommonName, "a, \"b\"");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.subject_alt_names = vec![
            SanType::DnsName("Device-7.Example.com".try_into().unwrap()),
            SanType::URI("spiffe://example.com/7".try_into().unwrap()),
            SanType::Rfc822Name("seven@example.com".try_into().unwrap()),
            SanType::IpAddress([192, 0, 2, 7].into()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
        ];
    });
    assert_eq!((&*read.subject, read.cn.as_deref()), ("O=Example,CN=a\\, \\\"b\\\"", Some("a, \"b\"")));
    assert_eq!((&*read.dns[0], &*read.uri[0], &*read.email[0]), ("device-7.example.com", "spiffe://example.com/7", "seven@example.com"));
    assert_eq!(read.ip.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.7", "2001:db8::7"]);
    assert_eq!((read.fingerprint.to_string().len(), read.is_ca), (64, false));
    assert!(Certificate::read(&[b"no certificate"]).unwrap_err().starts_with("cannot be read"));
    assert!(Certificate::read::<&[u8]>(&[]).is_err());
}

#[test]
fn what_is_proven_is_what_a_token_would_have_proven() {
    let mut client = client(Some(named("alice")));
    assert_eq!(handshake(&stage(""), &mut client), "");
    let identity = client.identity("client_cert.all").unwrap().clone();
    let certificate = client.certificate().unwrap();
    assert_eq!((identity.user.as_deref(), identity.expires), (Some("alice"), Some(certificate.not_after)));
    assert_eq!(identity.proof.kid.as_deref(), Some(&*certificate.fingerprint.to_string()));
    assert_eq!((client.claim("sub"), client.claim("cn")), (Some("alice".into()), Some("alice".into())));
    assert_eq!((client.claim("fingerprint"), client.claim("dns")), (Some(certificate.fingerprint.to_string().into()), None));
}

#[test]
fn nobody_without_a_certificate_passes_and_nobody_whose_names_fill_a_page() {
    let all = stage("");
    assert_eq!(handshake(&all, &mut client(None)), "certificate_missing");
    assert_eq!(handshake(&all, &mut sample::client(&[])), "certificate_missing");
    let wordy = certificate(|params| {
        params.subject_alt_names = (0..300).map(|at| SanType::DnsName(format!("host-{at}.example.com").try_into().unwrap())).collect();
    });
    assert_eq!(handshake(&all, &mut client(Some(wordy))), "certificate_denied");
}

#[test]
fn a_host_of_allow_is_itself_or_what_has_one_label_more() {
    let device = || certificate(|params| params.subject_alt_names = vec![SanType::DnsName("a.b.example.com".try_into().unwrap())]);
    for (allowed, passes) in [
        ("a.b.example.com", true),
        ("A.B.Example.Com", true),
        ("*.b.example.com", true),
        ("*.example.com", false),
        ("b.example.com", false),
        ("*.a.b.example.com", false),
    ] {
        let stage = stage(&format!("allow = {{ dns = {allowed:?} }}"));
        assert_eq!(handshake(&stage, &mut client(Some(device()))).is_empty(), passes, "{allowed}");
    }
}

#[test]
fn a_live_connection_is_judged_by_its_certificate_and_by_whether_it_was_asked() {
    let now = SystemTime::now();
    let soon = certificate(|params| params.not_after = (now + Duration::from_hours(1)).into());
    let mut proven = client(Some(soon));
    assert_eq!(handshake(&stage(""), &mut proven), "");
    let renamed = ClientCert { name: "client_cert.other".into(), ..stage("") };
    for (stage, at, outcome) in [
        (&stage(""), now, ""),
        (&renamed, now, ""),
        (&stage(""), now + Duration::from_hours(2), "certificate_expired"),
        (&stage("allow = { cn = \"somebody else\" }"), now, "certificate_denied"),
    ] {
        assert_eq!(said(stage.review(&proven, at)), outcome);
    }
    assert_eq!(said(stage("").review(&client(Some(named("alice"))), now)), "certificate_missing");
    assert_eq!(said(stage("").review(&client(None), now)), "certificate_missing");
}
