//! A service that decides, as `forward_auth` asks it.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;

use super::support::provider::{Provider, Says};
use super::support::raw::{exchange, upgrade};
use super::support::{self, Gateway, SECRET, ask, backend, closed, command, connect, request, with_token};

pub(super) const AUTH: &str = "/auth";

/// A gateway before this backend that lets in whom this table lets in; `more` are further tables and keys of the route.
pub(super) fn file(auth: &str, endpoint: &str, route: &str, more: &str) -> String {
    format!(
        "[gateway]\nreload = {{ spread = \"1ms\" }}\n[listener.l]\naddress = \"127.0.0.1:0\"\n[forward_auth.login]\n{auth}\n{more}\n\
         [route.r]\npipeline = [\"forward_auth.login\"]\nendpoint = \"{endpoint}\"\n{route}\n"
    )
}

pub(super) fn url(service: &Provider) -> String {
    format!("url = \"{}\"", service.url(AUTH))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_told_who_asks_for_what_and_nothing_of_the_upgrade() {
    let service = Provider::start().await;
    service.says(AUTH, Says::ok(""));
    let gateway = Gateway::run(&file(&url(&service), "echo", "", ""));
    let asked = request(
        &gateway.url("l", "/room/1?x=%20y"),
        &[
            ("authorization", "Bearer secret"),
            ("cookie", "a=b"),
            ("user-agent", "test"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-uri", "/other"),
            ("x_forwarded_user", "root"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("content-type", "text/plain"),
        ],
    );
    assert_eq!(ask(&mut connect(asked).await.unwrap(), "in").await, "in");
    let asked = &service.asked()[0];
    let mut headers: Vec<String> = asked.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    headers.sort();
    assert_eq!(
        headers,
        [
            "authorization: Bearer secret".to_owned(),
            "cookie: a=b".to_owned(),
            format!("host: {}", service.address),
            "user-agent: test".to_owned(),
            "x-forwarded-for: 127.0.0.1".to_owned(),
            format!("x-forwarded-host: {}", gateway.address("l")),
            "x-forwarded-method: GET".to_owned(),
            "x-forwarded-proto: http".to_owned(),
            "x-forwarded-uri: /room/1?x=%20y".to_owned(),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_file_names_is_sent_and_nothing_that_the_connection_names() {
    let service = Provider::start().await;
    service.says(AUTH, Says::ok(""));
    let gateway = Gateway::run(&file(&format!("{}\nsend = [\"Authorization\", \"X-Key\"]", url(&service)), "echo", "", ""));
    let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade, x-key\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Key: 1\r\nAuthorization: x\r\nCookie: a=b\r\n\r\n";
    let mut stream = tokio::net::TcpStream::connect(gateway.address("l")).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    service.is_asked(AUTH, 1).await;
    let asked = &service.asked()[0];
    assert_eq!((asked.header("authorization"), asked.header("cookie"), asked.header("x-key")), (Some("x"), None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_told_so_in_the_service_s_words() {
    let service = Provider::start().await;
    let (backend, _requests) = backend::echo().await;
    let mut gateway = Gateway::run(&file(&url(&service), &format!("ws://{backend}"), "http = true", ""));
    let challenge = "www-authenticate: Basic realm=\"chat\"";
    for (says, cookie, status, outcome) in [
        (Says::answer(401, &[challenge], "sign in"), "", 401, "token_missing"),
        (Says::answer(401, &[challenge], "sign in"), "cookie: a=b\r\n", 401, "token_invalid"),
        (Says::answer(403, &[], "not you"), "cookie: a=b\r\n", 403, "forbidden"),
        (Says::answer(302, &["location: https://login.example.com/?back=x", "set-cookie: state=1"], ""), "", 302, "token_missing"),
        (Says::answer(500, &["x-secret: 1"], "stack trace"), "", 503, "auth_unavailable"),
        (Says::answer(404, &[], "nothing here"), "", 503, "auth_unavailable"),
        (Says::answer(429, &[], "slow down"), "", 503, "auth_unavailable"),
        (Says::AndEnds(b"no HTTP\r\n\r\n".to_vec()), "", 503, "auth_unavailable"),
    ] {
        service.says(AUTH, says);
        let upgrade =
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        for kind in [upgrade, "Connection: close\r\n"] {
            let answer = exchange(gateway.address("l"), format!("GET / HTTP/1.1\r\nHost: a\r\n{kind}{cookie}\r\n").as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            let answer = answer.replace("Www-Authenticate", "www-authenticate").replace("Location", "location");
            assert_eq!(answer.contains(challenge), status == 401, "{answer}");
            assert_eq!(answer.contains("location: https://login.example.com/?back=x"), status == 302, "{answer}");
            assert!(!answer.contains("stack trace") && !answer.contains("x-secret"), "{answer}");
            assert_eq!(answer.contains("sign in") || answer.contains("not you"), [401, 403].contains(&status), "{answer}");
            let refused = gateway.event("refused");
            assert_eq!(refused["status"], status, "{refused}");
            assert_eq!((&refused["outcome"], &refused["stage"]), (&json!(outcome), &json!("forward_auth.login")), "{refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_gives_no_answer_lets_in_nobody_or_everybody_as_the_file_says() {
    let service = Provider::start().await;
    service.says(AUTH, Says::Nothing);
    let (backend, mut requests) = backend::echo().await;
    for (on_error, lets_in) in [("deny", false), ("allow", true)] {
        let auth = format!("{}\ntimeout = \"100ms\"\non_error = \"{on_error}\"\nreceive = \"X-User\"\nuser = \"X-User\"", url(&service));
        let mut gateway = Gateway::run(&file(&auth, &format!("ws://{backend}"), "", "[origin.any]\nallow = \"same-origin\""));
        for _ in 0..2 {
            match connect(request(&gateway.url("l", "/"), &[("x-user", "root")])).await {
                Ok(mut socket) if lets_in => assert_eq!(ask(&mut socket, "in").await, "in"),
                Err(tungstenite::Error::Http(response)) if !lets_in => assert_eq!(response.status(), 503),
                other => panic!("{on_error}: {other:?}"),
            }
        }
        let failed = gateway.event("service_failed");
        assert_eq!((&failed["stage"], &failed["lets_in"]), (&json!("forward_auth.login"), &json!(lets_in)), "{failed}");
        service.says(AUTH, Says::answer(200, &["X-User: alice"], ""));
        gateway.connect("l", "/").await;
        gateway.event("service_back");
        service.says(AUTH, Says::Nothing);
        assert_eq!(gateway.events().iter().filter(|event| event["event"] == "service_failed").count(), 1);
        while let Ok(request) = requests.try_recv() {
            assert!(request.headers().get("x-user").is_none_or(|user| user == "alice"), "what the client says of itself");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_hangs_holds_up_no_other_and_no_key_set() {
    let (hung, well) = (Provider::start().await, Provider::start().await);
    hung.says(AUTH, Says::Nothing);
    hung.says("/keys", Says::ok(r#"{"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"c2VjcmV0"}]}"#));
    well.says(AUTH, Says::ok(""));
    let more = format!("timeout = \"1m\"\n[forward_auth.well]\n{}\ntimeout = \"1m\"", url(&well));
    let route = "[route.well]\npath = \"/well\"\npipeline = [\"forward_auth.well\"]\nendpoint = \"echo\"";
    let text = file(&url(&hung), "echo", route, &more);
    let mut gateway = Gateway::run(&text);
    let mut waiting = Vec::new();
    for client in 0..600 {
        let mut stream = TcpStream::connect(gateway.address("l")).await.unwrap();
        stream.write_all(upgrade("/", &format!("Authorization: Bearer {client}\r\n")).as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    hung.is_asked(AUTH, 128).await;
    assert_eq!(ask(&mut gateway.connect("l", "/well").await, "in").await, "in");
    let keys = format!("[jwt.keys]\njwks = \"{}\"\n[route.keys]\npath = \"/keys\"\n", hung.url("/keys"));
    gateway.reload(&(text + &keys + "pipeline = [\"jwt.keys\"]\nendpoint = \"echo\"\n"));
    let event = gateway.event_of(&["key_set_fetched", "key_set_failed"], |_| true);
    assert!(!event["error"].to_string().contains("no answer within"), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_names_nobody_where_it_should_is_none() {
    let service = Provider::start().await;
    let (backend, mut requests) = backend::echo().await;
    for (on_error, lets_in) in [("deny", false), ("allow", true)] {
        let auth = format!("{}\nreceive = \"X-User\"\nuser = \"X-User\"\ncache = \"1m\"\non_error = \"{on_error}\"", url(&service));
        let mut gateway = Gateway::run(&file(&auth, &format!("ws://{backend}"), "", "[origin.any]\nallow = \"same-origin\""));
        for lines in ["", "x-user: \r\n", "x-user: \u{e4}\r\n", "x-user: alice\r\nx-user: bob\r\n"] {
            let text = format!("HTTP/1.1 200 OK\r\n{lines}content-length: 0\r\n\r\n");
            service.says(AUTH, Says::Bytes(text.chars().map(|c| c as u8).collect()));
            match connect(request(&gateway.url("l", "/"), &[("x-user", "root")])).await {
                Ok(_) if lets_in => assert_eq!(requests.recv().await.unwrap().headers().get("x-user"), None, "{lines:?}"),
                Err(tungstenite::Error::Http(response)) if !lets_in => assert_eq!(response.status(), 503, "{lines:?}"),
                other => panic!("{on_error} {lines:?}: {other:?}"),
            }
        }
        let failed = gateway.event("service_failed");
        assert!(failed["error"].to_string().contains("x-user"), "{failed}");
        // It is asked again, however long its answers are gone by.
        service.says(AUTH, Says::answer(200, &["X-User: alice"], ""));
        drop(gateway.connect("l", "/").await);
        gateway.event("service_back");
        assert_eq!(requests.recv().await.unwrap().headers()["x-user"], "alice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_says_of_a_client_is_what_backends_and_operators_go_by() {
    let service = Provider::start().await;
    service.says(AUTH, Says::answer(200, &["X-User: alice", "X-Groups: a", "X-Groups: b", "X-Other: no"], ""));
    let (backend, mut requests) = backend::echo().await;
    let auth = format!("{}\nreceive = [\"X-User\", \"X-Groups\"]\nuser = \"X-User\"", url(&service));
    let more = "[rate_limit.one]\nkey = \"user\"\nconcurrent = 1\n[headers.h]\nset = { \"X-Sub\" = \"{claim.sub}\" }";
    let text = file(&auth, &format!("ws://{backend}"), "", more)
        .replace("[\"forward_auth.login\"]", "[\"forward_auth.login\", \"rate_limit.one\", \"headers.h\"]");
    let gateway = Gateway::run(&text);
    let asked = request(&gateway.url("l", "/"), &[("x-user", "root"), ("x_groups", "root"), ("x-other", "mine"), ("connection", "x-user")]);
    let mut socket = connect(asked).await.unwrap();
    let seen = requests.recv().await.unwrap();
    let all = |name: &str| seen.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!((all("x-user"), all("x-groups"), all("x_groups")), (vec!["alice".to_owned()], vec!["a".to_owned(), "b".to_owned()], vec![]));
    assert_eq!((all("x-other"), all("x-sub")), (vec!["mine".to_owned()], vec!["alice".to_owned()]));
    assert_eq!(gateway.refusal(gateway.url("l", "/")).await.0, 429, "alice has her one connection");
    let kicked = command(gateway.folder.path()).args(["kick", "--user", "alice"]).output().unwrap();
    assert!(kicked.status.success());
    assert_eq!(closed(&mut socket).await.0, 3003);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_gone_by_for_the_same_question_and_no_other() {
    let service = Provider::start().await;
    service.says(AUTH, Says::answer(200, &["X-User: alice"], ""));
    let mut gateway = Gateway::run(&file(&format!("{}\nuser = \"X-User\"\ncache = \"1h\"", url(&service)), "echo", "", ""));
    let enter = |path: &str, token: &str| connect(with_token(&gateway.url("l", path), token));
    let all = futures_util::future::join_all((0..20).map(|_| enter("/", "one"))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(service.count(AUTH), 1);
    for (path, token) in [("/", "two"), ("/other", "one"), ("/?x", "one")] {
        enter(path, token).await.unwrap();
    }
    assert_eq!(service.count(AUTH), 4);
    service.says(AUTH, Says::answer(500, &[], ""));
    for _ in 0..2 {
        assert!(enter("/", "three").await.is_err());
    }
    assert_eq!(service.count(AUTH), 6, "a failure is no answer");
    enter("/", "one").await.unwrap();
    assert_eq!(gateway.event_where("open", |event| event["user"] == "alice")["route"], "r");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_ways_in_the_service_is_asked_where_the_other_has_nothing_to_go_by() {
    let service = Provider::start().await;
    service.says(AUTH, Says::answer(401, &[], ""));
    let (backend, mut requests) = backend::echo().await;
    let jwt = format!("[jwt.users]\nalgorithms = \"HS256\"\nsecret = \"{SECRET}\"");
    let auth = format!("{}\nreceive = \"X-User\"", url(&service));
    let either = |order: &str| file(&auth, &format!("ws://{backend}"), "", &jwt).replace("[\"forward_auth.login\"]", order);
    let good = support::token(&json!({ "sub": "alice", "exp": support::now() + 60 }));
    for (order, asked) in [("[[\"jwt.users\", \"forward_auth.login\"]]", 1), ("[[\"forward_auth.login\", \"jwt.users\"]]", 3)] {
        let before = service.count(AUTH);
        let gateway = Gateway::run(&either(order));
        let mut with = with_token(&gateway.url("l", "/"), &good);
        with.headers_mut().insert("x-user", "root".parse().unwrap());
        let entered = connect(with).await;
        // The service that comes first is shown the token, and calls it bad.
        assert_eq!(entered.is_ok(), asked == 1, "{order}");
        if entered.is_ok() {
            assert_eq!(requests.recv().await.unwrap().headers().get("x-user"), None, "whoever is let in otherwise says nothing of itself");
        }
        assert_eq!(gateway.refusal(gateway.url("l", "/")).await.0, 401);
        assert_eq!(service.count(AUTH) - before, if asked == 1 { 1 } else { 2 }, "{order}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_connection_ends_with_its_lifetime_or_when_nobody_has_ever_asked_about_it() {
    let service = Provider::start().await;
    service.says(AUTH, Says::ok(""));
    let mut gateway = Gateway::run(&file(&format!("{}\nlifetime = \"200ms\"", url(&service)), "echo", "", ""));
    let mut socket = gateway.connect("l", "/").await;
    assert_eq!(closed(&mut socket).await.0, 3000);
    drop(socket);
    assert_eq!(gateway.event("close")["outcome"], "token_expired");

    let with = file(&url(&service), "echo", "", "");
    let without = with.replace("pipeline = [\"forward_auth.login\"]\n", "");
    let mut gateway = Gateway::run(&without);
    let mut socket = gateway.connect("l", "/").await;
    gateway.reload(&with);
    assert_eq!(closed(&mut socket).await.0, 3000);
    let mut socket = gateway.connect("l", "/").await;
    let asked = service.count(AUTH);
    for edit in [with.replace("forward_auth.login", "forward_auth.renamed"), format!("{with}idle = \"1h\"\n")] {
        assert_eq!(gateway.reload(&edit)["event"], "reloaded");
        assert_eq!(ask(&mut socket, "still in").await, "still in");
    }
    assert_eq!(service.count(AUTH), asked, "an edit asks about nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_asks_nobody_and_lets_in_whom_it_supposes_to_be_known() {
    let service = Provider::start().await;
    let folder = tempfile::tempdir().unwrap();
    let trials = "[test.known]\nconnect = { path = \"/\", claims = { sub = \"alice\" } }\nexpect = \"open\"\n\
                  [test.unknown]\nconnect = { path = \"/\" }\nexpect = \"token_missing\"\n";
    let text = file(&url(&service), "authenticated", "", trials);
    std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    for arguments in [&["check"][..], &["check", "--offline"], &["explain", "--claims", "{\"sub\":\"alice\"}"]] {
        let ran = command(folder.path()).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{arguments:?}: {}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    }
    assert!(service.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_it_is_asked_about_is_lost_at_once_and_keeps_nobody_s_place() {
    let service = Provider::start().await;
    service.says(AUTH, Says::Nothing);
    let mut gateway = Gateway::run(&file(&format!("{}\ntimeout = \"1m\"", url(&service)), "echo", "", ""));
    let before = gateway.descriptors();
    let mut client = TcpStream::connect(gateway.address("l")).await.unwrap();
    client.write_all(upgrade("/", "").as_bytes()).await.unwrap();
    service.is_asked(AUTH, 1).await;
    drop(client);
    let refused = gateway.event("refused");
    assert_eq!((&refused["outcome"], &refused["level"]), (&json!("client_lost"), &json!("info")), "{refused}");
    gateway.settles_at(before).await;
}
