//! What a backend sees of a client's request, field by field.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::*;
use crate::wire::extensions::Compression;

struct Case<'a> {
    lines: &'a [(&'a str, &'a str)],
    extra: &'a [(HeaderName, Option<HeaderValue>)],
    host_header: HostHeader,
    hops: &'a [IpAddr],
    secure: bool,
}

const ENDS: Ends = Ends {
    source: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 7), 50_000)),
    destination: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 443)),
};

impl Default for Case<'_> {
    fn default() -> Self {
        Self { lines: &[], extra: &[], host_header: HostHeader::Client, hops: &[], secure: false }
    }
}

impl Case<'_> {
    fn sent(&self) -> HeaderMap {
        let (mut client, ()) = Request::new(()).into_parts();
        for (name, value) in [("host", "shop.example:8080"), ("connection", "Upgrade"), ("upgrade", "websocket")].iter().chain(self.lines) {
            client.headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let offer = Offer::read(&client.headers, Compression::Pass).unwrap();
        let (ip, target) = ("203.0.113.7".parse().unwrap(), "/chat?x=1");
        let Self { hops, secure, extra, .. } = *self;
        let facts = Facts { ip, hops, ends: ENDS, user: None, secure, target, offer: &offer, extra };
        let server = "ws://10.0.0.1:9001".parse().unwrap();
        forward(&client, &facts, &server, None, &self.host_header, "a2V5").unwrap().headers().clone()
    }
}

fn all(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn each_of_the_clients_fields_is_passed_replaced_or_dropped() {
    let none: &[&str] = &[];
    let rows: &[(&str, &str, &[&str])] = &[
        ("cookie", "a=b", &["a=b"]),
        ("authorization", "Bearer x", &["Bearer x"]),
        ("origin", "https://shop.example", &["https://shop.example"]),
        ("user-agent", "test", &["test"]),
        ("sec-websocket-protocol", "chat, superchat", &["chat, superchat"]),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", &["a2V5"]),
        ("sec-websocket-version", "13", &["13"]),
        ("sec-websocket-extensions", "permessage-deflate", &["permessage-deflate; server_no_context_takeover; client_no_context_takeover"]),
        ("sec-websocket-extensions", "x-other", none),
        ("connection", "keep-alive, X-Secret", &["Upgrade"]),
        ("upgrade", "h2c", &["websocket"]),
        ("keep-alive", "timeout=5", none),
        ("proxy-connection", "keep-alive", none),
        ("proxy-authorization", "Basic x", none),
        ("te", "trailers", none),
        ("expect", "100-continue", none),
        ("content-length", "0", none),
        ("http2-settings", "x", none),
        ("forwarded", "for=1.2.3.4", none),
        ("x-forwarded-for", "1.2.3.4", &["203.0.113.7"]),
        ("x-forwarded-proto", "https", &["http"]),
        ("x-forwarded-host", "evil.example", &["shop.example:8080"]),
        ("x-forwarded-port", "1", none),
        ("x-forwarded-prefix", "/admin", none),
        ("x-real-ip", "1.2.3.4", &["203.0.113.7"]),
        ("x_forwarded_for", "1.2.3.4", none),
        ("x-forwarded_proto", "https", none),
        ("x_real_ip", "1.2.3.4", none),
        ("x-forwarded", "kept", &["kept"]),
        ("x-custom", "kept", &["kept"]),
    ];
    for (name, value, expected) in rows {
        assert_eq!(all(&Case { lines: &[(name, value)], ..Case::default() }.sent(), name), *expected, "{name}: {value}");
    }
}

#[test]
fn what_connection_names_does_not_pass_but_what_is_true_does() {
    let lines = [("connection", "X-Secret, Host, X-Forwarded-For, Sec-WebSocket-Key"), ("x-secret", "1")];
    let sent = Case { lines: &lines, ..Case::default() }.sent();
    assert_eq!(all(&sent, "x-secret"), Vec::<String>::new());
    assert_eq!(all(&sent, "host"), ["shop.example:8080"]);
    assert_eq!(all(&sent, "x-forwarded-for"), ["203.0.113.7"]);
    assert_eq!(all(&sent, "sec-websocket-key"), ["a2V5"]);
}

#[test]
fn a_claim_stands_in_place_of_whatever_the_client_sent_by_that_name() {
    let claims = [("x-user", "alice"), ("x-role", "admin"), ("x-role", "staff"), ("host", "evil"), ("x-real-ip", "evil")];
    let mut extra = claims.map(|(name, value)| (HeaderName::from_static(name), Some(HeaderValue::from_static(value)))).to_vec();
    extra.push((HeaderName::from_static("x-team"), None));
    let lines = [("x-user", "mallory"), ("x-user", "eve"), ("x_user", "trent"), ("x-team", "red"), ("x_team", "red")];
    let sent = Case { lines: &lines, extra: &extra, ..Case::default() }.sent();
    assert_eq!(all(&sent, "x-user"), ["alice"]);
    for name in ["x_user", "x-team", "x_team"] {
        assert_eq!(all(&sent, name), Vec::<String>::new(), "{name}");
    }
    assert_eq!(all(&sent, "x-role"), ["admin", "staff"]);
    assert_eq!(all(&sent, "host"), ["shop.example:8080"]);
    assert_eq!(all(&sent, "x-real-ip"), ["203.0.113.7"]);
}

#[test]
fn the_proxies_a_request_came_through_stand_behind_the_client() {
    let hops = ["2001:db8::1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
    let lines = [("x-forwarded-for", "1.2.3.4, 203.0.113.7"), ("x-real-ip", "1.2.3.4")];
    let sent = Case { lines: &lines, hops: &hops, ..Case::default() }.sent();
    assert_eq!(all(&sent, "x-forwarded-for"), ["203.0.113.7, 2001:db8::1, 10.0.0.2"]);
    assert_eq!(all(&sent, "x-real-ip"), ["203.0.113.7"]);
}

#[test]
fn the_host_is_the_clients_the_servers_or_a_fixed_one_and_stands_first() {
    let fixed = HostHeader::Fixed(HeaderValue::from_static("inner.example"));
    for (host_header, expected) in
        [(HostHeader::Client, "shop.example:8080"), (HostHeader::Server, "10.0.0.1:9001"), (fixed, "inner.example")]
    {
        let sent = Case { host_header, secure: true, ..Case::default() }.sent();
        assert_eq!(sent.iter().next().map(|(name, value)| (name.as_str(), value.to_str().unwrap())), Some(("host", expected)));
        assert_eq!(all(&sent, "x-forwarded-host"), ["shop.example:8080"]);
        assert_eq!(all(&sent, "x-forwarded-proto"), ["https"]);
    }
}

#[test]
fn the_target_loses_its_prefix_and_gains_the_servers_base() {
    let rows = [
        ("/chat/a?b=/c", None, "", "/chat/a?b=/c"),
        ("/chat/a", Some("/chat"), "", "/a"),
        ("/chat/a", Some("/chat/"), "", "/a"),
        ("/chat", Some("/chat"), "", "/"),
        ("/chat?x", Some("/chat"), "", "/?x"),
        ("/chatter", Some("/chat"), "", "/chatter"),
        ("/other", Some("/chat"), "", "/other"),
        ("/chat/a", Some("/chat"), "/v1", "/v1/a"),
        ("/chat", Some("/chat"), "/v1", "/v1/"),
        ("/a?b", None, "/v1", "/v1/a?b"),
        ("/", Some("/"), "", "/"),
    ];
    for (path, prefix, base, expected) in rows {
        assert_eq!(target(path, prefix, base), expected, "{path} without {prefix:?} behind {base}");
    }
}

#[test]
fn a_mapped_address_is_told_as_the_ipv4_address_it_is() {
    let (client, ()) = Request::new(()).into_parts();
    let offer = Offer::default();
    let ip = "::ffff:192.0.2.1".parse().unwrap();
    let facts = Facts { ip, hops: &[], ends: ENDS, user: None, secure: false, target: "/", offer: &offer, extra: &[] };
    let server = "ws://a".parse().unwrap();
    let request = forward(&client, &facts, &server, None, &HostHeader::Client, "a").unwrap();
    assert_eq!(all(request.headers(), "x-real-ip"), ["192.0.2.1"]);
}

#[test]
fn trailers_that_a_server_could_take_for_headers_do_not_go_on() {
    let names = ["x-sum", "content_type", "set_cookie", "transfer_encoding", "x_user", "cookie", "x_forwarded_for"];
    let mut trailers: HeaderMap = names.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1"))).into_iter().collect();
    limit_trailers(&mut trailers, &[(HeaderName::from_static("x-user"), None)]);
    assert_eq!(trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-sum"]);
}
