//! What ties clients to servers, and what they are told to come back with.

use std::collections::HashSet;

use http::Request;
use tokio::time::Instant;

use super::super::balance::{Member, candidates};
use super::super::state::{FAILURES, States};
use super::*;
use crate::wire::extensions::Offer;
use crate::wire::proxy_protocol::Ends;

/// A client, as far as it matters here.
#[derive(Clone, Copy, Default)]
struct Asks<'a> {
    ip: Option<&'a str>,
    user: Option<&'a str>,
    query: &'a str,
    headers: &'a [(&'static str, &'a str)],
    extra: &'a [(HeaderName, Option<HeaderValue>)],
}

fn tie(sticky: &str, asks: Asks<'_>) -> Tie {
    let (mut request, ()) = Request::new(()).into_parts();
    for (name, value) in asks.headers {
        request.headers.append(*name, value.parse().unwrap());
    }
    let (ip, offer) = (asks.ip.unwrap_or("203.0.113.7").parse().unwrap(), Offer::default());
    let target = format!("/chat{}", asks.query);
    let ends = Ends { source: (ip, 50_000).into(), destination: ([10, 0, 0, 1], 443).into() };
    let facts = Facts { ip, hops: &[], ends, user: asks.user, secure: false, target: &target, offer: &offer, extra: asks.extra };
    Tie::of(Some(&sticky.parse().unwrap()), &request, &facts)
}

fn digest(sticky: &str, asks: Asks<'_>) -> Option<Digest> {
    match tie(sticky, asks) {
        Tie::Value(digest) => Some(digest),
        Tie::None => None,
        Tie::Named(_) => panic!("a cookie"),
    }
}

fn members(count: u16) -> Vec<Member> {
    let states = States::default();
    (1..=count)
        .map(|port| {
            let server: Server = format!("ws://a:{port}").parse().unwrap();
            Member { state: states.of(&server), server }
        })
        .collect()
}

#[test]
fn clients_with_the_same_value_are_tied_alike_and_one_without_is_not() {
    let user = |user| Asks { user, ..Asks::default() };
    let ip = |ip| Asks { ip: Some(ip), ..Asks::default() };
    let query = |query| Asks { query, ..Asks::default() };
    let headers = |headers| Asks { headers, ..Asks::default() };
    let extra = [(HeaderName::from_static("x-room"), Some(HeaderValue::from_static("1")))];
    let claimed = Asks { headers: &[("x-room", "forged")], extra: &extra, ..Asks::default() };
    let rows: [(&str, Asks<'_>, Asks<'_>, Asks<'_>); 7] = [
        ("user", user(Some("alice")), user(Some("alice")), user(Some("bob"))),
        ("ip", ip("203.0.113.7"), ip("::ffff:203.0.113.7"), ip("203.0.113.8")),
        ("ip", ip("2001:db8::1"), ip("2001:db8::ffff:1"), ip("2001:db8:0:1::1")),
        ("query:room", query("?a=1&room=x%20y"), query("?r%6Fom=x y&room=z"), query("?room=z")),
        ("header:X-Room", headers(&[("x-room", "1")]), headers(&[("x-room", "1"), ("a", "b")]), headers(&[("x-room", "2")])),
        ("header:X-Room", headers(&[("x-room", "1"), ("x-room", "2")]), headers(&[("x-room", "1, 2")]), headers(&[("x-room", "1")])),
        ("header:X-Room", headers(&[("x-room", "1")]), claimed, headers(&[("x-room", "forged")])),
    ];
    for (sticky, one, same, other) in rows {
        assert!(digest(sticky, one).is_some() && digest(sticky, one) == digest(sticky, same), "{sticky}");
        assert_ne!(digest(sticky, one), digest(sticky, other), "{sticky}");
    }
    let nothing = [query(""), query("?rooms=1"), query("?room="), query("?room"), headers(&[("x-room", "")])];
    for (asks, sticky) in nothing.into_iter().flat_map(|asks| ["user", "query:room", "header:X-Room"].map(|sticky| (asks, sticky))) {
        assert!(digest(sticky, asks).is_none(), "{sticky} {}", asks.query);
    }
}

#[test]
fn the_next_in_order_stands_in_for_a_server_that_was_tried_or_rests() {
    let members = members(5);
    let tie = tie("user", Asks { user: Some("alice"), ..Asks::default() });
    let choose = |tried: &[usize]| tie.choose(&candidates(&members, tried, Instant::now())).map(|(index, _)| index);
    let mut order = Vec::new();
    while let Some(next) = choose(&order) {
        order.push(next);
    }
    assert_eq!(order.iter().collect::<HashSet<_>>().len(), 5);
    (0..FAILURES).for_each(|_| _ = members[order[0]].state.failed(Instant::now()));
    assert_eq!(choose(&[]), Some(order[1]));
    assert_eq!(choose(&order[1..2]), Some(order[2]));
}

#[test]
fn a_cookie_names_a_server_that_is_there_and_ready() {
    let mut members = members(3);
    let choose = |members: &[Member], value: &str| {
        let cookie = format!("a=b; S={value}");
        tie("cookie:S", Asks { headers: &[("cookie", &cookie)], ..Asks::default() })
            .choose(&candidates(members, &[], Instant::now()))
            .map(|(index, _)| index)
    };
    let ids: Vec<String> = members.iter().map(|member| rendezvous::id(&member.server)).collect();
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(choose(&members, id), Some(index));
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    members[0].server = members[0].server.clone().draining();
    (0..FAILURES).for_each(|_| _ = members[1].state.failed(Instant::now()));
    for (value, chosen) in [(&*ids[0], None), (&ids[1], None), (&ids[2], Some(2)), ("0", None), ("", None), ("ws://a:3", None)] {
        assert_eq!(choose(&members, value), chosen, "{value}");
    }
}

#[test]
fn a_client_is_told_its_server_once_beside_what_the_backend_sets() {
    let (sticky, server) = ("cookie:S".parse::<Sticky>().unwrap(), "ws://a:1".parse::<Server>().unwrap());
    let id = rendezvous::id(&server);
    let ours = format!("S={id}; Path=/; HttpOnly; SameSite=Lax");
    let (cookie, stale) = (format!("S={id}"), "S=0123456789abcdef");
    type Row<'a> = (&'a [(&'static str, &'a str)], bool, &'a [&'a str]);
    let rows: [Row<'_>; 4] = [
        (&[], false, &["a=b", &ours]),
        (&[], true, &["a=b", &format!("{ours}; Secure")]),
        (&[("cookie", stale)], false, &["a=b", &ours]),
        (&[("cookie", &cookie)], false, &["a=b"]),
    ];
    for (headers, secure, set) in rows {
        let mut fields = HeaderMap::new();
        for line in ["S=the backend's own", "a=b"] {
            fields.append(SET_COOKIE, HeaderValue::from_static(line));
        }
        remember(Some(&sticky), &tie("cookie:S", Asks { headers, ..Asks::default() }), &server, secure, &mut fields);
        assert_eq!(fields.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), set, "{headers:?}");
        remember(Some(&Sticky::Ip), &Tie::None, &server, secure, &mut fields);
        assert_eq!(fields.get_all(SET_COOKIE).iter().count(), set.len());
    }
}
