//! Newcomers that take the place of the oldest: `on_excess = "close_oldest"`.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::tungstenite::{self, Message};

use super::support::{self, Gateway, Socket, ask, backend, closed, now, token};
use super::{ALICE, PUBLIC, Who, connect, decided, guard, refused};

/// How the log tells of one that was replaced.
fn replaced(max: usize) -> Value {
    json!(["session_replaced", "rate_limit.x", format!("concurrent {max}")])
}

/// How its client is told.
fn elsewhere() -> (u16, String) {
    (1008, "signed in elsewhere".to_owned())
}

/// A limit that closes the oldest of a key.
fn limit(key: &str, max: usize) -> String {
    format!("{PUBLIC}[rate_limit.x]\nkey = {key}\nconcurrent = {{ max = {max}, on_excess = \"close_oldest\" }}\n")
}

async fn is_served(socket: &mut Socket) {
    assert_eq!(ask(socket, "still here").await, "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_of_its_key_is_closed_and_the_newcomer_is_served() {
    let (backend, _) = backend::echo().await;
    let near = Who { ip: "127.0.0.9", path: "/other", user: "bob", tenant: "umbrella" };
    for (key, same, stranger) in [
        ("\"ip\"", Who { ip: ALICE.ip, ..near }, near),
        ("\"user\"", Who { user: "alice", ..near }, near),
        ("[\"route\", \"user\"]", Who { ip: "127.0.1.1", tenant: "umbrella", ..ALICE }, Who { path: "/other", ..ALICE }),
    ] {
        let mut gateway = Gateway::run(&format!(
            "{}{}[pipeline.all]\nstages = [\"jwt.users\", \"rate_limit.x\"]\n\
             [route.one]\npath = \"/\"\npipeline = [\"pipeline.all\"]\nendpoint = \"ws://{backend}\"\n\
             [route.other]\npath = \"/other\"\npipeline = [\"pipeline.all\"]\nendpoint = \"echo\"\n",
            limit(key, 2),
            guard()
        ));
        let mut strangers = [connect(&gateway, stranger).await.unwrap(), connect(&gateway, stranger).await.unwrap()];
        let mut inside = Vec::new();
        for _ in 0..3 {
            for who in [ALICE, same] {
                inside.push(connect(&gateway, who).await.unwrap());
                if inside.len() > 2 {
                    assert_eq!(closed(&mut inside.remove(0)).await, elsewhere(), "{key}");
                    let event = gateway.event("close");
                    assert_eq!((&event["by"], decided(&event)), (&json!("gateway"), replaced(2)), "{key}");
                }
                for socket in &mut inside {
                    is_served(socket).await;
                }
            }
        }
        for socket in &mut strangers {
            is_served(socket).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_replaced_is_told_in_the_words_of_its_errors_stage() {
    let gateway = Gateway::run(&format!(
        "{}[errors.x]\nnotify = '{{\"error\":\"{{id}}\",\"why\":\"{{reason}}\"}}'\nmessages = {{ session_replaced = \"moved to your phone\" }}\n\
         codes = {{ session_replaced = 4001 }}\n[route.one]\npipeline = [\"errors.x\", \"rate_limit.x\"]\nendpoint = \"echo\"\n",
        limit("\"ip\"", 1)
    ));
    let mut first = connect(&gateway, ALICE).await.unwrap();
    let mut second = connect(&gateway, ALICE).await.unwrap();
    assert_eq!(support::next_text(&mut first).await, r#"{"error":"session_replaced","why":"moved to your phone"}"#);
    assert_eq!(closed(&mut first).await, (4001, "moved to your phone".to_owned()));
    is_served(&mut second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_different_threads_replace_each_other_and_one_counts_once_where_its_stage_stands_twice() {
    let route = "[route.one]\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n[gateway]\nthreads = 2\n";
    let limit = limit("\"ip\"", 1).replacen("\n[gateway.route]", "\npipeline = [\"rate_limit.x\"]\n[gateway.route]", 1);
    let mut gateway = Gateway::run(&(limit + route));
    let mut last = connect(&gateway, ALICE).await.unwrap();
    for _ in 0..8 {
        // While the last is open, the next goes to the other thread.
        is_served(&mut last).await;
        let mut next = connect(&gateway, ALICE).await.unwrap();
        assert_eq!(closed(&mut last).await, elsewhere());
        assert_eq!(decided(&gateway.event("close")), replaced(1));
        is_served(&mut next).await;
        last = next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_come_at_once_as_many_stay_as_may() {
    let limits = limit("\"ip\"", 3) + "[gateway]\nthreads = 2\n[route.one]\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n";
    let mut gateway = Gateway::run(&limits);
    let mut before = Vec::new();
    for round in 0..3 {
        let joined = futures_util::future::join_all((0..32).map(|_| connect(&gateway, ALICE))).await;
        let mut inside: Vec<Socket> = joined.into_iter().filter_map(Result::ok).collect();
        // From the second round on, those of the round before are the oldest.
        let leaving = inside.len() - if round == 0 { 3 } else { 0 };
        for _ in 0..leaving {
            assert_eq!(decided(&gateway.event("close")), replaced(3));
        }
        let mut staying = 0;
        for socket in &mut inside {
            _ = socket.send(Message::text("here")).await;
            match support::in_time(socket.next()).await {
                Some(Ok(Message::Text(_))) => staying += 1,
                Some(Ok(Message::Close(Some(frame)))) => assert_eq!((frame.code.into(), frame.reason.to_string()), elsewhere()),
                other => panic!("neither served nor told: {other:?}"),
            }
        }
        assert_eq!(staying, 3);
        before.extend(inside);
    }
    let refused = gateway.events().iter().filter(|event| event["event"] == "refused").cloned().collect::<Vec<_>>();
    assert!(refused.iter().all(|event| decided(event) == replaced(3)), "{refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_that_something_else_refuses_replaces_nobody() {
    let nobody = backend::nobody().await;
    let mut gateway = Gateway::run(&format!(
        "{}{}audience = \"somebody else\"\n[jwt.first]\nalgorithms = \"HS256\"\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{}\" }}\n\
         sources = \"first_message\"\n[route.one]\npath = \"/\"\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n\
         [route.strict]\npath = \"/strict\"\npipeline = [\"rate_limit.x\", \"jwt.users\"]\nendpoint = \"echo\"\n\
         [route.first]\npath = \"/first\"\npipeline = [\"rate_limit.x\", \"jwt.first\"]\nendpoint = \"echo\"\n\
         [route.dead]\npath = \"/dead\"\npipeline = [\"rate_limit.x\"]\nendpoint = \"ws://{nobody}\"\n",
        limit("\"ip\"", 1),
        guard(),
        support::SECRET,
    ));
    let mut inside = connect(&gateway, ALICE).await.unwrap();
    for (path, status) in [("/strict", 401), ("/dead", 502)] {
        assert_eq!(refused(&gateway, Who { path, ..ALICE }).await.0, status, "{path}");
        is_served(&mut inside).await;
    }
    let mut stranger = connect(&gateway, Who { path: "/first", ..ALICE }).await.unwrap();
    is_served(&mut inside).await;
    stranger.send(Message::text("no token")).await.unwrap();
    assert_eq!(closed(&mut stranger).await.0, 3000);
    is_served(&mut inside).await;
    let mut alice = connect(&gateway, Who { path: "/first", ..ALICE }).await.unwrap();
    alice.send(Message::text(token(&json!({ "sub": "alice", "exp": now() + 60 })))).await.unwrap();
    assert_eq!(closed(&mut inside).await, elsewhere());
    is_served(&mut alice).await;
    assert_eq!(decided(&gateway.event("close")), replaced(1));
}

/// A backend that tells of each request, and answers it with 101 when it is let.
async fn gated() -> (SocketAddr, mpsc::Receiver<()>, Arc<Semaphore>) {
    let (asked, questions) = mpsc::channel(16);
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    let address = backend::scripted(move |mut stream| {
        let (asked, gate) = (asked.clone(), gate.clone());
        async move {
            let head = backend::read_head(&mut stream).await;
            asked.send(()).await.unwrap();
            gate.acquire().await.unwrap().forget();
            _ = stream.write_all(backend::switching(&head).as_bytes()).await;
            _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    (address.await, questions, opened)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_is_as_old_as_its_request_and_does_not_go_live_once_it_is_replaced() {
    let (slow, mut asked, gate) = gated().await;
    let mut gateway = Gateway::run(&format!(
        "{}{}sources = \"first_message\"\n[route.one]\npath = \"/\"\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n\
         [route.slow]\npath = \"/slow\"\npipeline = [\"rate_limit.x\"]\nendpoint = \"ws://{slow}\"\n\
         [route.first]\npath = \"/first\"\npipeline = [\"rate_limit.x\", \"jwt.users\"]\nendpoint = \"ws://{slow}\"\n",
        limit("\"ip\"", 1),
        guard(),
    ));
    let through = |path| connect(&gateway, Who { path, ..ALICE });
    let (refusal, mut younger) = futures_util::future::join(through("/slow"), async {
        support::in_time(asked.recv()).await.unwrap();
        let mut younger = through("/").await.unwrap();
        is_served(&mut younger).await;
        gate.add_permits(1);
        younger
    })
    .await;
    match refusal.unwrap_err() {
        tungstenite::Error::Http(response) => {
            assert_eq!(response.status(), 429);
            assert!(response.headers().contains_key("retry-after"));
        }
        error => panic!("not refused but: {error}"),
    }
    is_served(&mut younger).await;

    let mut first = through("/first").await.unwrap();
    let mut youngest = through("/").await.unwrap();
    assert_eq!(closed(&mut younger).await, elsewhere());
    first.send(Message::text(token(&json!({ "sub": "alice", "exp": now() + 60 })))).await.unwrap();
    assert_eq!(closed(&mut first).await, elsewhere());
    is_served(&mut youngest).await;

    let (slow, ()) = futures_util::future::join(through("/slow"), async {
        support::in_time(asked.recv()).await.unwrap();
        is_served(&mut youngest).await;
        gate.add_permits(1);
    })
    .await;
    assert!(slow.is_ok(), "a handshake that nobody has overtaken replaces who was live before it");
    assert_eq!(closed(&mut youngest).await, elsewhere());
    gateway.event("close");
    gateway.event("close");
    let ends = gateway.events().iter().filter(|event| event["event"] == "refused" || event["event"] == "close");
    assert_eq!(ends.map(decided).collect::<Vec<_>>(), [replaced(1), replaced(1), replaced(1), replaced(1)]);
    assert!(asked.try_recv().is_err(), "who is replaced already is not taken to a backend");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_report_mode_nobody_is_replaced_and_each_that_would_be_is_logged_once() {
    let limit = limit("\"ip\"", 1) + "mode = \"report\"\n[route.one]\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n";
    let mut gateway = Gateway::run(&limit);
    let mut inside = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..4 {
        inside.push(connect(&gateway, ALICE).await.unwrap());
        ids.push(gateway.event("open")["connection"].clone());
        if let [.., before, _] = &ids[..] {
            let event = gateway.event("would_refuse");
            assert_eq!((&event["connection"], decided(&event)), (before, replaced(1)));
        }
    }
    for socket in &mut inside {
        is_served(socket).await;
    }
    assert_eq!(gateway.events().iter().filter(|event| event["event"] == "would_refuse").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_from_refusing_to_replacing_holds_for_those_who_are_in() {
    let route = "[route.one]\npipeline = [\"rate_limit.x\"]\nendpoint = \"echo\"\n";
    let refusing = format!("{PUBLIC}[rate_limit.x]\nkey = \"ip\"\nconcurrent = 2\n{route}");
    let mut gateway = Gateway::run(&refusing);
    let mut older = connect(&gateway, ALICE).await.unwrap();
    let mut newer = connect(&gateway, ALICE).await.unwrap();
    assert_eq!(refused(&gateway, ALICE).await.0, 429);
    assert_eq!(gateway.reload(&(limit("\"ip\"", 2) + route))["event"], "reloaded");
    is_served(&mut older).await;
    let mut newcomer = connect(&gateway, ALICE).await.unwrap();
    assert_eq!(closed(&mut older).await, elsewhere());
    is_served(&mut newer).await;
    is_served(&mut newcomer).await;
    assert_eq!(decided(&gateway.event("close")), replaced(2));
    assert_eq!(gateway.reload(&refusing)["event"], "reloaded");
    assert_eq!(refused(&gateway, ALICE).await.0, 429);
    is_served(&mut newer).await;
}
