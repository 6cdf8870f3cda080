//! Where tokens stand, what is left of a request without them, and every way for them to be wrong.

use super::*;
use crate::stage::build::Need;
use crate::stage::client::{ForwardFirst, Promised};

/// What a stage of these sources says of a client, and what is left of its request: target, cookies, subprotocols.
fn left(sources: &str, target: &str, headers: &[(&str, &str)]) -> (String, [String; 3]) {
    let mut client = sample::client(headers);
    client.request.as_mut().unwrap().uri = target.parse().unwrap();
    let verdict = match shared(&format!("sources = {sources}")).handshake(&mut client) {
        Judgement::Now(verdict) => said(verdict),
        _ => "asks for a first message".to_owned(),
    };
    let request = client.request.unwrap();
    let all = |name: &str| {
        let values = request.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        values.collect::<Vec<_>>().join(" | ")
    };
    (verdict, [request.uri.to_string(), all("cookie"), all("sec-websocket-protocol")])
}

fn good() -> String {
    sign(&json!({ "exp": from_now(60), "sub": "alice" }))
}

#[test]
fn a_token_of_the_query_is_taken_out_and_the_rest_stays_as_it_is() {
    let token = good();
    for (target, verdict, left_over) in [
        (format!("/chat?token={token}"), "", "/chat"),
        (format!("/chat?a=%2f&token={token}&b"), "", "/chat?a=%2f&b"),
        (format!("/chat?%74oken={token}&"), "", "/chat?"),
        (format!("/chat?token={}", token.replace('.', "%2E")), "", "/chat"),
        ("/chat?tokens=x&xtoken=y&a=token".to_owned(), "token_missing: ", "/chat?tokens=x&xtoken=y&a=token"),
        ("/chat".to_owned(), "token_missing: ", "/chat"),
        ("/chat?token=bad&a".to_owned(), "token_invalid: malformed token", "/chat?a"),
        ("/chat?token=&a".to_owned(), "token_invalid: malformed token", "/chat?a"),
        ("/chat?token".to_owned(), "token_invalid: malformed token", "/chat"),
        ("/chat?token=%ff".to_owned(), "token_invalid: the token of the query is not text", "/chat"),
        (format!("/chat?token={token}&a&token={token}"), "token_invalid: more than one token in the query", "/chat?a"),
        (format!("/chat?token={token}&%74%6Fken=x"), "token_invalid: more than one token in the query", "/chat"),
    ] {
        let (said, [uri, ..]) = left("\"query:token\"", &target, &[]);
        assert_eq!((&*said, &*uri), (verdict, left_over), "{target}");
    }
}

#[test]
fn a_token_in_a_cookie_is_taken_out_and_the_other_cookies_stay() {
    let token = good();
    let of = |text: &str| text.replace("TOKEN", &token);
    for (cookies, verdict, left_over) in [
        (vec!["session=TOKEN"], "", ""),
        (vec!["a=b; session=TOKEN;c=d"], "", "a=b; c=d"),
        (vec!["a=b", "session=\"TOKEN\"; c=d"], "", "a=b | c=d"),
        (vec!["session =TOKEN"], "", ""),
        (vec!["mysession=TOKEN; Session=TOKEN; sessions=TOKEN"], "token_missing: ", "mysession=TOKEN; Session=TOKEN; sessions=TOKEN"),
        (vec![], "token_missing: ", ""),
        (vec!["session=; a=b"], "token_invalid: malformed token", "a=b"),
        (vec!["session=TOKEN; session=x; a=b"], "token_invalid: more than one cookie session", "a=b"),
        (vec!["session=TOKEN", "session=TOKEN"], "token_invalid: more than one cookie session", ""),
        (vec!["session=é"], "token_invalid: malformed token", ""),
    ] {
        let lines: Vec<String> = cookies.iter().map(|line| of(line)).collect();
        let headers: Vec<_> = lines.iter().map(|line| ("cookie", line.as_str())).collect();
        let (said, [_, cookie, _]) = left("\"cookie:session\"", "/chat", &headers);
        assert_eq!((&*said, cookie), (verdict, of(left_over)), "{cookies:?}");
    }
}

#[test]
fn a_token_behind_its_marker_is_taken_out_of_the_offer() {
    let token = good();
    let of = |text: &str| text.replace("TOKEN", &token);
    for (offers, verdict, left_over) in [
        (vec!["bearer, TOKEN"], "", "bearer"),
        (vec!["chat, bearer, TOKEN, mqtt"], "", "chat, bearer, mqtt"),
        (vec!["bearer", "TOKEN, chat"], "", "bearer, chat"),
        (vec!["bearer"], "token_missing: ", "bearer"),
        (vec!["chat, bearer"], "token_missing: ", "chat, bearer"),
        (vec!["TOKEN, chat"], "token_missing: ", "TOKEN, chat"),
        (vec!["Bearer, TOKEN"], "token_missing: ", "Bearer, TOKEN"),
        (vec![], "token_missing: ", ""),
        (vec!["bearer, chat"], "token_invalid: malformed token", "bearer"),
        (vec!["bearer, TOKEN, bearer, TOKEN"], "token_invalid: bearer is offered more than once", "bearer, bearer"),
    ] {
        let lines: Vec<String> = offers.iter().map(|line| of(line)).collect();
        let headers: Vec<_> = lines.iter().map(|line| ("sec-websocket-protocol", line.as_str())).collect();
        let (said, [_, _, offer]) = left("\"subprotocol:bearer\"", "/chat", &headers);
        assert_eq!((&*said, offer), (verdict, of(left_over)), "{offers:?}");
    }
}

#[test]
fn the_marker_is_promised_where_it_brought_a_token_and_only_there() {
    let stage = shared("sources = \"subprotocol:bearer\"");
    for (offer, promised) in [("bearer, x, chat", true), ("bearer", false), ("chat", false)] {
        let mut client = sample::client(&[("sec-websocket-protocol", offer)]);
        assert!(matches!(stage.handshake(&mut client), Judgement::Now(Err(_))));
        let found = client.request.unwrap().extensions.get::<Promised>().cloned();
        assert_eq!(found, promised.then(|| Promised("bearer".into())), "{offer}");
    }
}

#[test]
fn the_first_source_that_has_a_credential_decides_and_none_of_them_goes_on() {
    let token = good();
    let sources = "[\"query:token\", \"header\", \"cookie:session\", \"subprotocol:bearer\", \"first_message\"]";
    let (query, bearer, cookie, offer) = ("/?token=TOKEN", "Bearer TOKEN", "session=TOKEN", "bearer, TOKEN");
    for (query, bearer, cookie, offer, expected) in [
        (query, bearer, cookie, offer, ""),
        (query, "Bearer bad", "session=bad", "bearer, bad", ""),
        ("/?token=bad", bearer, cookie, offer, "token_invalid: malformed token"),
        ("/", "Bearer bad", cookie, offer, "token_invalid: malformed token"),
        ("/", "Basic eDp5", "session=bad", offer, "token_invalid: malformed token"),
        ("/", "Basic eDp5", "a=b", "bearer, bad", "token_invalid: malformed token"),
        ("/", "Basic eDp5", "a=b", offer, ""),
        ("/", "Basic eDp5", "a=b", "chat", "asks for a first message"),
    ] {
        let of = |text: &str| text.replace("TOKEN", &token);
        let (bearer, cookie, offer) = (of(bearer), of(cookie), of(offer));
        let headers = [("authorization", &*bearer), ("cookie", &*cookie), ("sec-websocket-protocol", &*offer)];
        let (said, rest) = left(sources, &of(query), &headers);
        assert_eq!(said, expected, "{query} {bearer} {cookie} {offer}");
        assert!(!rest.iter().any(|rest| rest.contains(&token) || rest.contains("bad")), "{rest:?}");
    }
}

#[test]
fn a_token_may_stand_in_a_field_of_a_first_message_that_is_json() {
    let token = good();
    for forward in [false, true] {
        let stage = shared(&format!("sources = \"first_message\"\nfirst_message = {{ field = \"payload.token\", forward = {forward} }}"));
        for (message, expected) in [
            (r#"{"type":"connection_init","payload":{"token":"TOKEN","x":1}}"#, ""),
            (r#"{"payload.token":"TOKEN"}"#, "token_missing: no payload.token in the first message"),
            // A backend would read another token in these.
            (r#"{"payload.token":"TOKEN","payload":{"token":"bad"}}"#, "token_invalid: malformed token"),
            (
                r#"{"payload":{"token":"bad","token":"TOKEN"}}"#,
                "token_invalid: the first message is not a JSON object that has each name once",
            ),
            (
                r#"{"payload":{"token":"bad"},"p\u0061yload":{"token":"TOKEN"}}"#,
                "token_invalid: the first message is not a JSON object that has each name once",
            ),
            (r#"{"payload":{"token":"bad"}}"#, "token_invalid: malformed token"),
            (r#"{"payload":{"token":7}}"#, "token_invalid: payload.token of the first message is not text"),
            (r#"{"payload":{"token":null}}"#, "token_missing: no payload.token in the first message"),
            (r#"{"payload":"TOKEN"}"#, "token_missing: no payload.token in the first message"),
            (r#"{"token":"TOKEN"}"#, "token_missing: no payload.token in the first message"),
            (r#"["TOKEN"]"#, "token_invalid: the first message is not a JSON object that has each name once"),
            (r#"{"payload":{"token":"TOKEN"}"#, "token_invalid: the first message is not a JSON object that has each name once"),
            ("TOKEN", "token_invalid: the first message is not a JSON object that has each name once"),
            ("", "token_invalid: the first message is not a JSON object that has each name once"),
        ] {
            let mut client = sample::client(&[]);
            client.first_message = Some(Box::new(message.replace("TOKEN", &token).into()));
            let Judgement::Now(verdict) = stage.handshake(&mut client) else { panic!("it was to answer at once") };
            assert_eq!(said(verdict), expected, "{message}");
            let is_forwarded = client.request.unwrap().extensions.get::<ForwardFirst>().is_some();
            assert_eq!(is_forwarded, forward && expected.is_empty(), "{message}");
        }
    }
}

#[test]
fn a_first_message_is_not_forwarded_where_another_credential_decided() {
    let stage = shared("sources = [\"header\", \"first_message\"]\nfirst_message = { forward = true }");
    let mut client = sample::client(&[("authorization", &format!("Bearer {}", good()))]);
    assert!(matches!(stage.handshake(&mut client), Judgement::Now(Ok(()))));
    assert!(client.request.unwrap().extensions.get::<ForwardFirst>().is_none());
}

#[tokio::test]
async fn of_several_ways_to_authenticate_those_not_taken_leave_no_credential_behind() {
    let step = |name: &str, sources: &str| {
        let stage: Arc<dyn Stage> = Arc::new(shared(&format!("sources = {sources}")));
        Step::from(Named { name: name.into(), mode: Mode::Enforce, stage })
    };
    let group = Entry::AnyOf(vec![step("jwt.a", "\"header\""), step("jwt.b", "[\"query:token\", \"cookie:session\"]")]);
    let token = good();
    let headers = [("authorization", &*format!("Bearer {token}")), ("cookie", &*format!("session={token}; a=b"))];
    let mut client = sample::client(&headers);
    client.request.as_mut().unwrap().uri = format!("/?token={token}").parse().unwrap();
    let progress = Pipeline::new(vec![group]).handshake(Resume::default(), &mut client, &mut Findings::default()).await;
    assert_eq!(progress.unwrap(), Progress::Done);
    assert!(!format!("{:?}", client.request).contains(&token), "{:?}", client.request);
    assert_eq!(client.request.unwrap().headers["cookie"], "a=b");
}

#[test]
fn a_cookie_asks_for_a_judge_of_pages() {
    let cells = Cells::default();
    let mut build = Build::new(KeyPath::table("jwt", "users"), Path::new(KEYS), &cells);
    Jwt::configure(toml::from_str(&format!("{SHARED}sources = [\"header\", \"cookie:session\"]")).unwrap(), &mut build).unwrap();
    assert!(build.needs.contains(&Need::Origins(build.at().key("sources").index(1))));
}
