//! Every stage judges each request, as it judges an upgrade.

use serde_json::json;

use crate::support::backend::header;
use crate::support::{Gateway, SECRET, logged, now, token};
use crate::{Backend, Talk, config};

async fn answer(gateway: &Gateway, head: &str) -> String {
    let mut client = Talk::to(gateway.address("public")).await;
    let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    client.say(format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")).await.rest().await
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default()
}

fn jwt(sources: &str) -> String {
    format!("[jwt.users]\nalgorithms = \"HS256\"\nsecret = \"{SECRET}\"\nsources = [{sources}]\n")
}

#[tokio::test]
async fn a_token_is_read_from_wherever_it_may_stand_and_reaches_no_backend() {
    let (backend, mut seen) = Backend::mirror().await;
    let stages = jwt("\"header\", \"query:token\", \"cookie:session\", \"first_message\"");
    let route = "pipeline = [\"jwt.users\"]\nforward_claims = { X-User = \"sub\" }";
    let gateway = Gateway::run(&config(backend.address, route, &stages));
    let token = token(&json!({ "sub": "ann", "exp": now() + 600 }));
    for request in [
        format!("GET /\r\nAuthorization: Bearer {token}\r\n"),
        format!("POST /?token={token}&x=1\r\nX-User: mallory\r\n"),
        format!("DELETE /\r\nCookie: session={token}; other=1\r\n"),
    ] {
        assert_eq!(status(&answer(&gateway, &request).await), 200, "{request}");
        let asked = seen.recv().await.unwrap();
        assert!(header(&asked, "x-user") == Some("ann") && !asked.contains(&token), "{asked}");
    }
    for (request, expected) in [("GET /", 401), ("GET /\r\nAuthorization: Bearer x\r\n", 401), ("OPTIONS /", 401)] {
        assert_eq!(status(&answer(&gateway, request).await), expected, "{request}");
    }
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn each_request_of_a_connection_is_judged_by_itself() {
    let (backend, mut seen) = Backend::mirror().await;
    let gateway = Gateway::run(&config(backend.address, "pipeline = [\"jwt.users\"]", &jwt("\"header\"")));
    let token = token(&json!({ "sub": "ann", "exp": now() + 600 }));
    let mut client = Talk::to(gateway.address("public")).await;
    let good = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    for _ in 0..2 {
        client.say(&good).await.head().await;
        client.until("\r\n\r\n").await;
    }
    let head = client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.head().await;
    assert_eq!(status(&head), 401, "{head}");
    assert_eq!((seen.recv().await.is_some(), seen.recv().await.is_some(), seen.try_recv().is_err()), (true, true, true));
}

#[tokio::test]
async fn origins_are_judged_where_they_are_sent_and_a_preflight_passes_where_the_route_lets_it() {
    let (backend, mut seen) = Backend::mirror().await;
    let stages = format!("[origin.pages]\nallow = \"https://app.example\"\nmissing = \"deny\"\n{}", jwt("\"header\""));
    let preflight = |origin: &str| format!("OPTIONS /\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n");
    for (http, passes) in [("true", 401), ("{ preflight = true }", 200)] {
        let route = format!("http = {http}\npipeline = [\"origin.pages\", \"jwt.users\"]");
        let gateway = Gateway::run(&config(backend.address, &route, &stages));
        for (request, expected) in [
            (preflight("https://app.example"), passes),
            (preflight("https://evil.example"), 403),
            ("OPTIONS /\r\nOrigin: https://app.example\r\n".to_owned(), 401),
            ("GET /\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n".to_owned(), 401),
            // Browsers send none with what a page of the same origin gets.
            ("GET /".to_owned(), 401),
        ] {
            assert_eq!(status(&answer(&gateway, &request).await), expected, "{http} {request}");
        }
    }
    assert!(seen.recv().await.unwrap().starts_with("OPTIONS / "));
}

#[tokio::test]
async fn requests_of_a_key_are_limited_by_a_stage_and_connections_are_not_what_it_counts() {
    let (backend, _seen) = Backend::mirror().await;
    let limits = "[rate_limit.each]\nkey = \"header:x-key\"\nconnect = \"1/h\"\nrequests = { rate = \"1/h\", burst = 2 }\n";
    let gateway = Gateway::run(&config(backend.address, "pipeline = [\"rate_limit.each\"]", limits));
    for (key, expected) in [("a", 200), ("a", 200), ("b", 200), ("a", 429), ("b", 200), ("b", 429)] {
        assert_eq!(status(&answer(&gateway, &format!("GET /\r\nX-Key: {key}\r\n")).await), expected, "{key}");
    }
}

#[tokio::test]
async fn preflights_of_one_address_use_up_no_limit_of_another_where_limits_are_of_users() {
    let (backend, _seen) = Backend::mirror().await;
    let limits = "[rate_limit.each]\nkey = \"user\"\nrequests = { rate = \"1/h\", burst = 2 }\nconcurrent = 1\n";
    let route = "http = { preflight = true }\npipeline = [\"jwt.users\", \"rate_limit.each\"]";
    let config = config(backend.address, route, &format!("{limits}{}", jwt("\"header\"")));
    let gateway = Gateway::run(&config.replacen("[listener.public]\n", "[listener.public]\ntrusted_proxies = \"127.0.0.1\"\n", 1));
    for (from, expected) in [("192.0.2.1", 200), ("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)] {
        let told = format!("X-Forwarded-For: {from}\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n");
        assert_eq!(status(&answer(&gateway, &format!("OPTIONS /\r\n{told}")).await), expected, "{from}");
    }
}

#[tokio::test]
async fn concurrent_counts_the_requests_under_way() {
    let backend = Backend::of(|mut talk| async move {
        let head = talk.head().await;
        if head.starts_with("GET /slow ") {
            talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
            talk.rest().await;
        } else {
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let limits = "[rate_limit.each]\nkey = \"ip\"\nconcurrent = 1\n";
    let mut gateway = Gateway::run(&config(backend.await.address, "pipeline = [\"rate_limit.each\"]", limits));
    let mut slow = Talk::to(gateway.address("public")).await;
    slow.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.until("hi\r\n").await;
    assert_eq!(status(&answer(&gateway, "GET /").await), 429);
    drop(slow);
    gateway.event("request");
    for _ in 0..2 {
        assert_eq!(status(&answer(&gateway, "GET /").await), 200);
        gateway.event("request");
    }
}

#[tokio::test]
async fn a_newer_request_takes_the_place_of_the_oldest_where_the_file_says_so() {
    let backend = Backend::of(|mut talk| async move {
        talk.head().await;
        talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
        talk.rest().await;
    });
    let limits = "[rate_limit.each]\nkey = \"ip\"\nconcurrent = { max = 1, on_excess = \"close_oldest\" }\n";
    let mut gateway = Gateway::run(&config(backend.await.address, "pipeline = [\"rate_limit.each\"]", limits));
    let (mut old, mut new) = (Talk::to(gateway.address("public")).await, Talk::to(gateway.address("public")).await);
    old.say("GET /old HTTP/1.1\r\nHost: a\r\n\r\n").await.until("hi\r\n").await;
    new.say("GET /new HTTP/1.1\r\nHost: a\r\n\r\n").await.until("hi\r\n").await;
    assert!(old.is_ended().await);
    let event = gateway.event("request");
    assert_eq!((event["path"].as_str(), event["outcome"].as_str()), (Some("/old"), Some("session_replaced")), "{event}");
}

#[tokio::test]
async fn an_answer_is_cut_when_the_token_it_was_let_in_by_expires() {
    let backend = Backend::of(|mut talk| async move {
        talk.head().await;
        talk.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
        talk.rest().await;
    });
    let stages = jwt("\"header\"").replace("sources", "leeway = \"1s\"\nsources");
    let mut gateway = Gateway::run(&config(backend.await.address, "pipeline = [\"jwt.users\"]", &stages));
    let token = token(&json!({ "sub": "ann", "exp": now() + 1 }));
    let mut client = Talk::to(gateway.address("public")).await;
    client.say(format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")).await.until("data: 1\n\n").await;
    client.rest().await;
    let event = gateway.event("request");
    assert_eq!((event["outcome"].as_str(), event["user"].as_str()), (Some("token_expired"), Some("ann")), "{event}");
}

#[tokio::test]
async fn requests_are_counted_by_the_class_of_their_answer() {
    let (backend, _seen) = Backend::mirror().await;
    let gateway = Gateway::run(&config(backend.address, "", "[metrics.page]\naddress = \"127.0.0.1:0\""));
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello").await.rest().await;
    let page = Talk::to(gateway.address("metrics.page"))
        .await
        .say("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .rest()
        .await;
    for series in [
        "wsgate_requests_total{route=\"app\",status=\"2xx\",outcome=\"answered\"} 1",
        "wsgate_request_bytes_total{route=\"app\",from=\"client\"} 5",
        "wsgate_request_duration_seconds_count{route=\"app\"} 1",
        "wsgate_connections{route=\"app\"} 0",
        "wsgate_messages_total{route=\"app\",from=\"client\"} 0",
    ] {
        assert!(page.contains(series), "{series}: {page}");
    }
}

#[tokio::test]
async fn headers_are_set_and_removed_and_errors_worded() {
    let (backend, mut seen) = Backend::mirror().await;
    let stages = "[headers.own]\nset = { X-From = \"{client.ip}\" }\nremove = \"X-Secret\"\n[errors.json]\nbody = \"json\"\n[firewall.none]\nallow = \"192.0.2.0/24\"\n";
    let gateway = Gateway::run(&config(backend.address, "pipeline = [\"headers.own\"]", stages));
    answer(&gateway, "GET /\r\nX-From: me\r\nX-Secret: x\r\n").await;
    let asked = seen.recv().await.unwrap();
    assert_eq!((header(&asked, "x-from"), header(&asked, "x-secret")), (Some("127.0.0.1"), None), "{asked}");
    let gateway = Gateway::run(&config(backend.address, "pipeline = [\"errors.json\", \"firewall.none\"]", stages));
    let all = answer(&gateway, "POST /").await;
    assert!(status(&all) == 403 && all.ends_with("{\"error\":\"ip_denied\",\"message\":\"forbidden\"}\n"), "{all}");
}

#[tokio::test]
async fn an_edit_judges_the_next_request_of_a_connection_and_cuts_the_answer_of_whom_it_forbids() {
    let backend = Backend::of(|mut talk| async move {
        while let Some(head) = talk.find("\r\n\r\n").await {
            if head.starts_with("GET /slow ") {
                talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
                talk.rest().await;
            } else {
                talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
            }
        }
    })
    .await;
    let with = |deny: &str| config(backend.address, "pipeline = [\"firewall.some\"]", &format!("[firewall.some]\ndeny = [{deny}]\n"));
    let mut gateway = Gateway::run(&with("\"192.0.2.0/24\""));
    let (mut kept, mut slow) = (Talk::to(gateway.address("public")).await, Talk::to(gateway.address("public")).await);
    kept.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.until("hi").await;
    slow.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.until("hi\r\n").await;
    std::fs::write(gateway.folder.path().join("gateway.toml"), logged(&with("\"127.0.0.0/8\""))).unwrap();
    gateway.signal("HUP");
    assert!(slow.is_ended().await);
    assert_eq!(gateway.event_where("request", |event| event["path"] == "/slow")["outcome"], "ip_denied");
    let head = kept.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.head().await;
    assert_eq!(status(&head), 403, "{head}");
}

#[tokio::test]
async fn whoever_a_trusted_proxy_names_is_judged_for_each_request_of_its_connection() {
    let (backend, mut seen) = Backend::mirror().await;
    let config = format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.0/8\"]\npipeline = [\"firewall.some\"]\n\
         [firewall.some]\ndeny = [\"198.51.100.0/24\"]\n[route.app]\nendpoint = \"ws://{}\"\nhttp = true\n",
        backend.address
    );
    let gateway = Gateway::run(&config);
    let mut proxy = Talk::to(gateway.address("public")).await;
    for (client, told) in
        [("192.0.2.1", "192.0.2.1, 127.0.0.1"), ("192.0.2.2", "192.0.2.2, 127.0.0.1"), ("203.0.113.9, 192.0.2.3", "192.0.2.3, 127.0.0.1")]
    {
        proxy.say(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n")).await.head().await;
        proxy.until("\r\n\r\n").await;
        let asked = seen.recv().await.unwrap();
        assert_eq!(header(&asked, "x-forwarded-for"), Some(told), "{asked}");
    }
    let head = proxy.say("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n").await.head().await;
    assert_eq!(status(&head), 403, "{head}");
}
