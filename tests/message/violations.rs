//! Each thing that a message may break, from either side, and each way that it may be answered.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::support::{self, Gateway, backend, raw};
use super::{BINARY, CLOSE, TEXT, decided, judging};

/// A demand on messages, one that breaks it, and what that comes to; `@` stands for `client` and `upstream`.
struct Row {
    table: &'static str,
    bad: (u8, &'static [u8]),
    rule: &'static str,
    client: (u16, &'static str, &'static str),
    upstream: (u16, &'static str, &'static str),
}

/// What passes, whatever is demanded, once.
const GOOD: &[u8] = br#"{"text":"good"}"#;

const ROWS: &[Row] = &[
    Row {
        table: "types = { @ = \"text\" }",
        bad: (BINARY, GOOD),
        rule: "types: binary",
        client: (1003, "type_not_allowed", "message type not allowed"),
        upstream: (1003, "upstream_type_not_allowed", "backend sent a message of the wrong type"),
    },
    Row {
        table: "json = { @ = true }",
        bad: (TEXT, br#"{"text":"a","text":"b"}"#),
        rule: "json: the name \"text\" twice in one object at line 1 column 18",
        client: (1007, "schema_violation", "message does not fit the schema"),
        upstream: (1007, "upstream_schema_violation", "backend message does not fit the schema"),
    },
    Row {
        table: "schema = { @ = \"chat.json\" }",
        bad: (TEXT, br#"{"text":7}"#),
        rule: "schema: /text is not of type \"string\"",
        client: (1007, "schema_violation", "message does not fit the schema"),
        upstream: (1007, "upstream_schema_violation", "backend message does not fit the schema"),
    },
    Row {
        table: "rules = { from = \"@\", field = \"debug\", is = true, deny = true }",
        bad: (TEXT, br#"{"text":"x","debug":true}"#),
        rule: "rules[0] debug is true",
        client: (1008, "message_denied", "message denied"),
        upstream: (1008, "upstream_message_denied", "backend message denied"),
    },
    Row {
        table: "rules = { from = \"@\", field = \"text\", is = \"good\", rate = { rate = \"1/h\", burst = 2 } }",
        bad: (TEXT, GOOD),
        rule: "rules[0] text is \"good\", 1/h",
        client: (1008, "rate_limited", "too many requests"),
        upstream: (1008, "upstream_message_denied", "backend message denied"),
    },
];

/// What is asked for in the place of a Close, and what the sender is told of this outcome then.
fn milder(outcome: &str, code: u16) -> [(&'static str, Option<String>); 2] {
    [("on_violation = \"drop\"", None), ("on_violation = \"notify\"\nnotify = '{id} {code}'", Some(format!("{outcome} {code}")))]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_must_not_send_closes_the_connection_and_nothing_of_it_reaches_the_backend() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    for row in ROWS {
        let (code, outcome, reason) = row.client;
        for endpoint in ["echo", &format!("ws://{address}")] {
            let mut gateway = judging(&row.table.replace('@', "client"), endpoint);
            let mut client = raw::upgraded(gateway.address("public"), "/").await;
            let good = raw::frame(TEXT, GOOD);
            // In two fragments, and with more behind it that nobody will look at.
            let (first, last) = row.bad.1.split_at(5);
            let bad = [raw::frame(row.bad.0 & 0x0f, first), raw::frame(0x80, last)].concat();
            client.write_all(&[&good[..], &good, &bad, &good].concat()).await.unwrap();
            let told = raw::frames(&raw::rest(&mut client).await);
            let answers = if endpoint == "echo" { 2 } else { 0 };
            assert_eq!(told[answers..], [(CLOSE, raw::closing(code, reason))], "{} {endpoint}", row.table);
            if endpoint != "echo" {
                let passed = raw::frames(&support::in_time(seen.recv()).await.unwrap());
                assert_eq!(passed, [(TEXT, GOOD.to_vec()), (TEXT, GOOD.to_vec()), (CLOSE, raw::closing(1001, ""))], "{}", row.table);
            }
            assert_eq!(decided(&gateway.event("close")), json!([outcome, "message.x", row.rule]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_must_not_send_is_left_out_and_its_sender_told_where_that_is_asked_for() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    for row in ROWS {
        let (code, outcome, _) = row.client;
        for (more, notice) in milder(outcome, code) {
            for endpoint in ["echo", &format!("ws://{address}")] {
                let mut gateway = judging(&format!("{}\n{more}", row.table.replace('@', "client")), endpoint);
                let mut client = raw::upgraded(gateway.address("public"), "/").await;
                let (good, bad) = (raw::frame(TEXT, GOOD), raw::frame(row.bad.0, row.bad.1));
                client.write_all(&[&good[..], &good, &bad, &bad].concat()).await.unwrap();
                let answers = if endpoint == "echo" { 2 } else { 0 };
                let notices = notice.iter().chain(&notice).map(|notice| notice.clone().into_bytes());
                let expected = std::iter::repeat_n(GOOD.to_vec(), answers).chain(notices);
                for expected in expected {
                    assert_eq!(raw::next_frame(&mut client).await, (TEXT, expected), "{} {endpoint} {more}", row.table);
                }
                client.write_all(&raw::frame(CLOSE, &raw::closing(1000, ""))).await.unwrap();
                raw::rest(&mut client).await;
                if endpoint != "echo" {
                    let passed = raw::frames(&support::in_time(seen.recv()).await.unwrap());
                    assert_eq!(
                        passed,
                        [(TEXT, GOOD.to_vec()), (TEXT, GOOD.to_vec()), (CLOSE, raw::closing(1000, ""))],
                        "{} {more}",
                        row.table
                    );
                }
                assert_eq!(gateway.event("close")["outcome"], "closed", "{} {more}", row.table);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_must_not_send_closes_the_connection_and_nothing_of_it_reaches_the_client() {
    for row in ROWS {
        let (code, outcome, reason) = row.upstream;
        let (good, bad) = (raw::unmasked(TEXT, GOOD), raw::unmasked(row.bad.0, row.bad.1));
        let (address, mut seen) = backend::witness([&good[..], &good, &bad, &good].concat()).await;
        let mut gateway = judging(&row.table.replace('@', "upstream"), &format!("ws://{address}"));
        let mut client = raw::upgraded(gateway.address("public"), "/").await;
        let told = raw::frames(&raw::rest(&mut client).await);
        assert_eq!(told, [(TEXT, GOOD.to_vec()), (TEXT, GOOD.to_vec()), (CLOSE, raw::closing(1011, reason))], "{}", row.table);
        let passed = raw::frames(&support::in_time(seen.recv()).await.unwrap());
        assert_eq!(passed[0].0, CLOSE, "{}", row.table);
        assert_eq!(passed[0].1[..2], code.to_be_bytes(), "{}", row.table);
        assert_eq!(decided(&gateway.event("close")), json!([outcome, "message.x", row.rule]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_whose_text_is_read_and_is_not_utf_8_is_told_1007_and_its_client_gets_1011() {
    let (address, mut seen) = backend::witness([raw::unmasked(TEXT, GOOD), raw::unmasked(TEXT, b"\xed\xa0\x80")].concat()).await;
    let mut gateway = judging("types = { upstream = \"text\" }", &format!("ws://{address}"));
    let mut client = raw::upgraded(gateway.address("public"), "/").await;
    let told = raw::frames(&raw::rest(&mut client).await);
    assert_eq!(told, [(TEXT, GOOD.to_vec()), (CLOSE, raw::closing(1011, "backend text is not UTF-8"))]);
    assert_eq!(raw::frames(&support::in_time(seen.recv()).await.unwrap()), [(CLOSE, raw::closing(1007, ""))]);
    assert_eq!(decided(&gateway.event("close")), json!(["upstream_not_utf8", null, "text is not UTF-8"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_must_not_send_is_left_out_and_the_backend_told_where_that_is_asked_for() {
    for row in ROWS {
        let (code, outcome, _) = row.upstream;
        for (more, notice) in milder(outcome, code) {
            let (good, bad) = (raw::unmasked(TEXT, GOOD), raw::unmasked(row.bad.0, row.bad.1));
            let (says, is_told) = ([&good[..], &good, &bad].concat(), notice.is_some());
            let (sender, mut told) = mpsc::channel(1);
            let address = backend::upgraded(b"", move |mut stream| {
                let (says, sender) = (says.clone(), sender.clone());
                async move {
                    stream.write_all(&says).await.unwrap();
                    let notice = if is_told { Some(raw::next_frame(&mut stream).await) } else { None };
                    _ = sender.send(notice).await;
                    stream.write_all(&raw::unmasked(CLOSE, &raw::closing(1000, ""))).await.unwrap();
                    raw::rest(&mut stream).await;
                }
            });
            let mut gateway = judging(&format!("{}\n{more}", row.table.replace('@', "upstream")), &format!("ws://{}", address.await));
            let mut client = raw::upgraded(gateway.address("public"), "/").await;
            for expected in [(TEXT, GOOD.to_vec()), (TEXT, GOOD.to_vec()), (CLOSE, raw::closing(1000, ""))] {
                assert_eq!(raw::next_frame(&mut client).await, expected, "{} {more}", row.table);
            }
            client.write_all(&raw::frame(CLOSE, &raw::closing(1000, ""))).await.unwrap();
            let told = support::in_time(told.recv()).await.unwrap();
            assert_eq!(told, notice.map(|notice| (TEXT, notice.into_bytes())), "{} {more}", row.table);
            assert_eq!(gateway.event("close")["outcome"], "closed", "{} {more}", row.table);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_errors_stage_words_what_closes_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::run_in(
        folder,
        &format!(
            "{}[message.x]\njson = true\n[errors.e]\nmessages = {{ schema_violation = \"speak JSON\" }}\ncodes = {{ schema_violation = 4007 }}\n\
             [route.one]\npipeline = [\"errors.e\", \"message.x\"]\nendpoint = \"echo\"\n",
            super::PUBLIC
        ),
    );
    let mut client = raw::upgraded(gateway.address("public"), "/").await;
    client.write_all(&raw::frame(TEXT, b"hello")).await.unwrap();
    assert_eq!(raw::frames(&raw::rest(&mut client).await), [(CLOSE, raw::closing(4007, "speak JSON"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_stages_read_what_the_one_before_has_let_pass() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let mut gateway = Gateway::run(&format!(
        "{}[message.a]\ntypes = \"text\"\non_violation = \"drop\"\n[message.b]\njson = true\n\
         [route.one]\npipeline = [\"message.a\", \"message.b\"]\nendpoint = \"ws://{address}\"\n",
        super::PUBLIC
    ));
    let mut client = raw::upgraded(gateway.address("public"), "/").await;
    let frames = [raw::frame(BINARY, b"\xff"), raw::frame(TEXT, b"[]"), raw::frame(TEXT, b"[")];
    client.write_all(&frames.concat()).await.unwrap();
    assert_eq!(raw::close_code(&raw::rest(&mut client).await), 1007);
    let passed = raw::frames(&support::in_time(seen.recv()).await.unwrap());
    assert_eq!(passed[0], (TEXT, b"[]".to_vec()));
    let rule = "json: EOF while parsing a list at line 1 column 1";
    assert_eq!(decided(&gateway.event("close")), json!(["schema_violation", "message.b", rule]));
}
