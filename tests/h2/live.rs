//! What happens to live connections happens to streams: edits, operators, time, a stop.

use futures_util::{SinkExt, StreamExt};
use http::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Client, dialled};
use super::support::{Gateway, ask, backend, closed, command, in_time, token};
use super::{config, nobody};

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_reaches_the_streams_it_concerns_and_no_others() {
    let first = config(nobody(), "");
    let mut gateway = Gateway::run(&first);
    let mut client = Client::to(gateway.address("public")).await;
    let mut echo = client.socket("/echo", &[]).await;
    let token = token(&json!({ "sub": "alice", "exp": super::support::now() + 600 }));
    let mut secure = client.socket("/secure", &[("authorization", &format!("Bearer {token}"))]).await;
    gateway
        .reload(&first.replace("[route.echo]", "[firewall.none]\ndeny = [\"127.0.0.1\"]\n[route.echo]\npipeline = [\"firewall.none\"]\n"));
    assert_eq!(closed(&mut echo).await.0, 3003);
    secure.next().await.unwrap().unwrap();
    ask(&mut secure, "still here").await;
    let (status, _, body) = client.refusal("/echo", &[]).await;
    assert!(status == 403 && body.contains("(ip_denied)"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_connected_before_an_edit_denies_it_does_not_come_in_by_its_first_stream_or_any() {
    let keys = "pipeline = [\"firewall.wall\", \"rate_limit.once\"]";
    let text = |deny: &str| {
        let stages =
            format!("[firewall.wall]\ndeny = [{deny}]\n[rate_limit.once]\nkey = \"ip\"\nconnect = {{ rate = \"1/h\", burst = 2 }}\n");
        config(nobody(), keys).replace("[jwt.users]", &format!("{stages}[jwt.users]"))
    };
    let mut gateway = Gateway::run(&text(""));
    // Each has shown its preface, and counted.
    let mut denied = Client::to(gateway.address("public")).await;
    let mut let_in = Client::to(gateway.address("public")).await;
    gateway.reload(&text("\"127.0.0.1\""));
    for stream in ["the first", "the second"] {
        let (status, _, body) = denied.refusal("/echo", &[]).await;
        assert!(status == 403 && body.contains("(ip_denied)"), "{stream}: {body}");
        assert_eq!(denied.answer(Method::GET, "/app/", &[]).await.0, 403, "{stream}");
    }
    // Another edit later, the first stream is not counted twice: nothing is left.
    gateway.reload(&text("\"192.0.2.1\""));
    let mut socket = let_in.socket("/echo", &[]).await;
    assert!(ask(&mut socket, "hello").await.ends_with("hello"));
    assert_eq!(let_in.refusal("/echo", &[]).await.0, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_renews_its_token_in_a_message_and_with_its_ticket_over_another_stream() {
    let ways = r#"
        renew.ticket  = true
        renew.message = { match = { type = "auth" }, field = "token", reply = "renewed", refused = "{id}" }
"#;
    let mut gateway = Gateway::run(&config(nobody(), "").replace("[jwt.users]\n", &format!("[jwt.users]\n{ways}")));
    let [first, newer, newest] = [60, 600, 1200].map(|lives| token(&json!({ "sub": "alice", "exp": super::support::now() + lives })));
    let mut client = Client::to(gateway.address("public")).await;
    let ticket = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let mut socket = client.socket(&format!("/secure?wsgate_ticket={ticket}"), &[("authorization", &format!("Bearer {first}"))]).await;
    socket.next().await.unwrap().unwrap();
    assert_eq!(ask(&mut socket, &json!({ "type": "auth", "token": newer }).to_string()).await, "renewed");
    for (ticket, status) in [(ticket, 204), ("ffffffffffffffffffffffffffffffff", 404)] {
        let headers = [("x-wsgate-ticket", ticket), ("authorization", &format!("Bearer {newest}"))];
        assert_eq!(client.answer(Method::POST, "/.well-known/wsgate/renew", &headers).await.0, status);
    }
    for how in ["message", "ticket"] {
        assert_eq!(gateway.event("renewed")["how"], how);
    }
    assert!(ask(&mut socket, "still here").await.ends_with("still here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_speaks_it_no_more_keeps_its_streams_and_takes_no_more() {
    let first = config(nobody(), "");
    let mut gateway = Gateway::run(&first);
    let mut client = Client::to(gateway.address("public")).await;
    let mut socket = client.socket("/echo", &[]).await;
    gateway.reload(&config(nobody(), "http2 = false"));
    let error = client.ask(Method::GET, "/health/livez", &[]).await.unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::REFUSED_STREAM));
    assert!(ask(&mut socket, "hello").await.ends_with("hello"));
    socket.close(None).await.unwrap();
    closed(&mut socket).await;
    drop(socket);
    in_time(client.connection).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_without_it_refuses_the_preface_as_ever() {
    let mut gateway = Gateway::run(&config(nobody(), "http2 = false"));
    let answer = super::support::raw::exchange(gateway.address("public"), super::bare::PREFACE).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(gateway.event("refused")["rule"], "HTTP/2 where HTTP/1.1 is spoken");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_and_ends_streams() {
    let (address, _) = backend::echo().await;
    let mut gateway = Gateway::run(&config(address, ""));
    let mut client = Client::to(gateway.address("public")).await;
    let mut kicked = client.socket("/relay", &[]).await;
    let mut stays = client.socket("/echo", &[]).await;
    let run = |arguments: &[&str]| {
        let done = command(gateway.folder.path()).args(arguments).output().unwrap();
        String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
    };
    let listed = run(&["ps", "--json"]);
    assert_eq!(listed.matches("\"id\"").count(), 2, "{listed}");
    run(&["kick", "--route", "relay"]);
    assert_eq!(closed(&mut kicked).await.0, 3003);
    drop(kicked);
    assert!(ask(&mut stays, "hello").await.ends_with("hello"));
    assert_eq!(gateway.event("close")["outcome"], "kicked");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_ends_streams_as_it_ends_connections() {
    let times = [("idle = \"1s\"", 3008), ("lifetime = \"1s\"", 1001)];
    for (key, code) in times {
        let text = config(nobody(), "").replace("[route.echo]", &format!("[route.echo]\n{key}"));
        let gateway = Gateway::run(&text);
        let mut client = Client::to(gateway.address("public")).await;
        let mut socket = client.socket("/echo", &[]).await;
        assert_eq!(closed(&mut socket).await.0, code, "{key}");
    }
    // One that answers no ping.
    let gateway = Gateway::run(&config(nobody(), "").replace("[route.echo]", "[route.echo]\nping = \"1s\"\npong = \"1s\""));
    let mut client = Client::to(gateway.address("public")).await;
    let mut stream = client.stream("/echo", &[]).await;
    let mut got = Vec::new();
    _ = in_time(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut got)).await;
    assert_eq!(got[0], 0x89, "a ping first");
    assert!(got.windows(2).any(|window| window == 1011_u16.to_be_bytes()), "{got:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sends_goaway_and_ends_the_streams_as_connections_end() {
    let config = format!("[gateway]\ndrain = {{ over = \"1s\" }}\n{}", config(nobody(), ""));
    let mut gateway = Gateway::run(&config);
    let mut client = Client::to(gateway.address("public")).await;
    let mut sockets = [client.socket("/echo", &[]).await, client.socket("/echo", &[]).await];
    let idle = Client::to(gateway.address("public")).await;
    gateway.signal("TERM");
    in_time(idle.connection).await.unwrap().unwrap();
    for socket in &mut sockets {
        assert_eq!(closed(socket).await, (1001, "shutting down".to_owned()));
    }
    drop(sockets);
    in_time(client.connection).await.unwrap().unwrap();
    assert!(gateway.wait().success());
    assert!(gateway.events().iter().any(|event| event["event"] == "drained" && event["cut"] == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_does_not_read_stalls_its_own_stream_alone() {
    let backend = backend::upgraded(b"", |stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let gateway = Gateway::run(&config(backend, ""));
    let mut client = Client::to(gateway.address("public")).await;
    let mut flowing = client.socket("/echo", &[]).await;
    for path in ["/relay", "/count", "/read"] {
        let mut stalled = client.socket(path, &[]).await;
        // Messages go in until nothing takes them any more, while all that the other stream asks is answered.
        let flood = async {
            let message = Message::binary(vec![0; 60_000]);
            for _ in 0..1000 {
                stalled.send(message.clone()).await.unwrap();
            }
        };
        let beside = async {
            for _ in 0..200 {
                let text = "x".repeat(70_000);
                assert!(ask(&mut flowing, &text).await.ends_with(&text), "{path}");
            }
        };
        tokio::select! {
            () = flood => panic!("{path}: 60 MB went to nobody"),
            () = beside => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_a_stream_stalls_that_alone() {
    let gateway = Gateway::run(&config(nobody(), ""));
    // A window for all that holds those of several, as a client has that means to read them apart.
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 20);
    let mut client = Client::with(dialled(gateway.address("public")).await, &mut builder).await;
    let mut flowing = client.socket("/echo", &[]).await;
    let mut unread = client.socket("/echo", &[]).await;
    let flood = async {
        for _ in 0..1000 {
            unread.send(Message::text("x".repeat(60_000))).await.unwrap();
        }
    };
    let beside = async {
        for _ in 0..200 {
            assert!(ask(&mut flowing, "hello").await.ends_with("hello"));
        }
    };
    tokio::select! {
        () = flood => panic!("60 MB of answers are held for nobody"),
        () = beside => {}
    }
}
