//! The one who asks, and services that answer as they should not.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use wsgate::stage::fingerprint::Fingerprint;
use wsgate::stage::outside::{Question, Trust};
use wsgate::wire::asking::Asker;
use wsgate::wire::tls::provider;

use super::support::provider::{Provider, Says};

/// Longer than any answer here takes that comes.
const LONG: Duration = Duration::from_secs(15);

fn question(url: &str) -> Question {
    Question {
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        trust: None,
        within: LONG,
        max_body: 64,
        redirects: 3,
        takes_place: false,
    }
}

/// What came of a question: the status and the body, or the kind of failure.
async fn ask(asker: &Asker, question: &Question) -> Result<(u16, String), &'static str> {
    let answer = asker.ask(question).await.map_err(|failed| failed.word)?;
    Ok((answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap()))
}

#[tokio::test]
async fn an_answer_is_taken_whole_or_not_at_all() {
    let service = Provider::start().await;
    let chunked = |body: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}").into_bytes();
    type Row<'a> = (&'a str, Says, Result<(u16, &'a str), &'static str>);
    let full = "x".repeat(64);
    let rows: Vec<Row<'_>> = vec![
        ("whole", Says::ok("keys"), Ok((200, "keys"))),
        ("until it ends", Says::AndEnds(b"HTTP/1.1 200 OK\r\n\r\nkeys".to_vec()), Ok((200, "keys"))),
        ("in chunks", Says::Bytes(chunked("2\r\nke\r\n2\r\nys\r\n0\r\n\r\n")), Ok((200, "keys"))),
        ("an error of its own", Says::answer(500, &[], "broken"), Ok((500, "broken"))),
        ("as large as may be", Says::ok([b'x'; 64]), Ok((200, &full))),
        ("larger", Says::ok([b'x'; 65]), Err("too_large")),
        ("endless", Says::Endless(chunked(""), b"4\r\nxxxx\r\n".to_vec()), Err("too_large")),
        ("endless until it ends", Says::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 100]), Err("too_large")),
        ("an endless head", Says::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".to_vec()), Err("malformed")),
        ("an endless line", Says::Endless(b"HTTP/1.1 200 OK\r\na: ".to_vec(), vec![b'x'; 1000]), Err("malformed")),
        ("cut", Says::AndEnds(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nkeys".to_vec()), Err("lost")),
        ("chunks that are none", Says::AndEnds(chunked("zz\r\nkeys\r\n0\r\n\r\n")), Err("lost")),
        ("chunks that are cut", Says::AndEnds(chunked("4\r\nkeys\r\n")), Err("lost")),
        ("no HTTP", Says::AndEnds(b"220 mail.example.com ESMTP\r\n".to_vec()), Err("malformed")),
        ("nothing", Says::AndEnds(Vec::new()), Err("lost")),
    ];
    for (what, says, expected) in rows {
        service.says("/keys", says);
        let expected = expected.map(|(status, body)| (status, body.to_owned()));
        assert_eq!(ask(&Asker::default(), &question(&service.url("/keys"))).await, expected, "{what}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up_in_time() {
    let service = Provider::start().await;
    for says in [Says::Nothing, Says::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec())] {
        service.says("/keys", says);
        let question = Question { within: Duration::from_millis(50), ..question(&service.url("/keys")) };
        assert_eq!(ask(&Asker::default(), &question).await, Err("timeout"));
    }
    let address = service.stop().await;
    assert_eq!(ask(&Asker::default(), &question(&format!("http://{address}/"))).await, Err("unreachable"));
}

#[tokio::test]
async fn redirects_are_followed_so_far_and_no_farther() {
    let (service, other) = (Provider::start().await, Provider::start().await);
    other.says("/keys", Says::ok("there"));
    service.says("/1", Says::redirect("/2"));
    service.says("/2", Says::redirect("3?x"));
    service.says("/3?x", Says::redirect(&other.url("/keys")));
    service.says("/loop", Says::redirect("/loop"));
    service.says("/file", Says::redirect("file:///etc/passwd"));
    for (path, redirects, expected) in [
        ("/1", 3, Ok((200, "there".to_owned()))),
        ("/1", 2, Err("redirect")),
        ("/1", 0, Ok((302, String::new()))),
        ("/loop", 3, Err("redirect")),
        ("/file", 3, Err("redirect")),
    ] {
        let headers = HeaderMap::from_iter([(http::header::COOKIE, "secret".parse().unwrap())]);
        let question = Question { redirects, headers, ..question(&service.url(path)) };
        assert_eq!(ask(&Asker::default(), &question).await, expected, "{path}");
    }
    assert!(service.asked().iter().all(|asked| asked.header("cookie") == Some("secret")));
    assert_eq!(other.asked()[0].header("cookie"), None, "what is sent to one service is told to another");
}

#[tokio::test]
async fn a_connection_serves_the_next_question_and_another_is_made_where_it_was_closed() {
    let service = Provider::start().await;
    let asker = Asker::default();
    service.says("/a", Says::ok("a"));
    service.says("/b", Says::AndEnds(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb".to_vec()));
    for path in ["/a", "/a", "/b", "/a", "/a"] {
        assert_eq!(ask(&asker, &question(&service.url(path))).await.unwrap().1, path[1..]);
    }
    let connections: Vec<usize> = service.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1, 1]);
}

/// A server's TLS for localhost, and the authority that vouches for it, in PEM.
pub(crate) fn sealed() -> (ServerConfig, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let server =
        ServerConfig::builder_with_provider(provider().clone()).with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let server = server.with_single_cert(vec![cert.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap();
    (server, authority.pem())
}

/// The same, and who trusts that authority.
fn tls() -> (ServerConfig, Trust) {
    let (server, pem) = sealed();
    let authority = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    (server, Trust { roots: Arc::new(roots), made_of: Fingerprint::of(authority.as_ref()) })
}

#[tokio::test]
async fn over_tls_a_service_proves_who_it_is_and_leads_nobody_out_of_it() {
    let ((server, trust), (_, stranger)) = (tls(), tls());
    let (service, plain) = (Provider::start_tls(server).await, Provider::start().await);
    service.says("/keys", Says::ok("keys"));
    service.says("/out", Says::redirect(&plain.url("/keys")));
    let (port, asker) = (service.address.port(), Asker::default());
    for (host, path, trust, expected) in [
        ("localhost", "/keys", Some(&trust), Ok((200, "keys".to_owned()))),
        ("localhost", "/keys", Some(&stranger), Err("tls")),
        ("localhost", "/keys", None, Err("tls")),
        ("127.0.0.1", "/keys", Some(&trust), Err("tls")),
        ("localhost", "/out", Some(&trust), Err("redirect")),
    ] {
        let question = Question { trust: trust.cloned(), ..question(&format!("https://{host}:{port}{path}")) };
        assert_eq!(ask(&asker, &question).await, expected, "{host}{path}");
    }
    assert!(plain.asked().is_empty());
}
