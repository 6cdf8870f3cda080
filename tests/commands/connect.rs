//! `wsgate connect`: what is printed where, and the exit code each ending has.

use std::process::{Output, Stdio};

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::support::{backend, command, in_time};

/// Runs the client with this input; without any, its input stays open until it ends by itself.
async fn talk(arguments: &[&str], input: Option<&str>) -> (String, String, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let mut client = command(folder.path());
    client.arg("connect").args(arguments).env("WSGATE_TOKEN", "");
    run(client, input).await
}

async fn run(client: std::process::Command, input: Option<&str>) -> (String, String, Option<i32>) {
    let mut client = Command::from(client);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut client = client.spawn().unwrap();
    let mut typing = client.stdin.take().unwrap();
    // Typed while it prints: neither waits for the other.
    let input = input.map(str::to_owned);
    let typed = tokio::spawn(async move {
        match input {
            Some(input) => typing.write_all(input.as_bytes()).await.map(|()| None),
            None => Ok(Some(typing)),
        }
    });
    let Output { status, stdout, stderr } = in_time(client.wait_with_output()).await.unwrap();
    drop(typed.await);
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code())
}

/// A server that sends these, and then ends the connection.
async fn saying(messages: Vec<Message>) -> String {
    let address = backend::upgraded(b"", move |stream| {
        let messages = messages.clone();
        async move {
            let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
            for message in messages {
                let is_close = message.is_close();
                socket.send(message).await.unwrap();
                // The client's own Close comes back before the connection ends.
                while is_close && socket.next().await.is_some_and(|read| read.is_ok()) {}
            }
        }
    });
    format!("ws://{}/", address.await)
}

fn close(code: u16, reason: &str) -> Message {
    Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
}

#[tokio::test]
async fn messages_go_to_standard_output_and_all_else_to_standard_error() {
    let all = vec![Message::text("hello"), Message::binary("x"), Message::binary("abc"), Message::Ping("hey".into())];
    let url = saying(all.into_iter().chain([close(1000, "done")]).collect()).await;
    let (out, told, code) = talk(&[&url], None).await;
    assert_eq!(out, "hello\n(1 byte of binary)\n(3 bytes of binary)\n");
    assert_eq!((told.as_str(), code), ("ping (3 bytes)\nclosed: 1000 done\n", Some(0)));
    let (out, told, code) = talk(&[&url, "--quiet"], None).await;
    assert_eq!((out.lines().count(), told.as_str(), code), (3, "", Some(0)));
}

#[tokio::test]
async fn how_a_server_ends_a_connection_is_told_and_all_but_a_normal_close_is_a_failure() {
    for (messages, told, code) in [
        (vec![close(1000, "")], "closed: 1000\n", 0),
        (vec![Message::Close(None)], "closed: 1005 no code\n", 0),
        (vec![close(1001, "shutting down")], "wsgate: closed: 1001 shutting down\n", 1),
        (vec![close(4001, "go away")], "wsgate: closed: 4001 go away\n", 1),
        (vec![], "wsgate: closed: 1006, ", 1),
    ] {
        let (out, said, exit) = talk(&[&saying(messages).await], None).await;
        assert!(out.is_empty() && said.starts_with(told) && said.lines().count() == 1, "{told:?}: {said:?}");
        assert_eq!(exit, Some(code), "{told:?}");
    }
}

#[tokio::test]
async fn the_end_of_the_input_closes_and_every_answer_is_read_before_that() {
    let (address, _requests) = backend::echo().await;
    let input: String = (0..500).map(|line| format!("{line} {}\n", "x".repeat(4096))).collect();
    let (out, told, code) = talk(&[&format!("ws://{address}/")], Some(&input)).await;
    assert_eq!(out.len(), input.len());
    assert!(out == input && told.is_empty() && code == Some(0), "{told}");
}

#[tokio::test]
async fn a_token_headers_and_subprotocols_stand_in_the_request() {
    let (address, mut requests) = backend::echo().await;
    let url = format!("ws://{address}/");
    let seen = async |name: &str, requests: &mut tokio::sync::mpsc::Receiver<http::Request<()>>| {
        let request = in_time(requests.recv()).await.unwrap();
        let values = request.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned());
        values.collect::<Vec<_>>()
    };
    let (_, told, _) = talk(&[&url, "--subprotocol", "chat.v2", "--subprotocol", "chat.v1"], Some("")).await;
    assert_eq!(told, "subprotocol: chat.v2\n");
    assert_eq!(seen("sec-websocket-protocol", &mut requests).await, ["chat.v2, chat.v1"]);
    talk(&[&url, "--header", "X-A: 1", "--header", "X-A:2"], Some("")).await;
    assert_eq!(seen("x-a", &mut requests).await, ["1", "2"]);
    talk(&[&url, "--token", "abc"], Some("")).await;
    assert_eq!(seen("authorization", &mut requests).await, ["Bearer abc"]);
    let (out, ..) = talk(&[&url, "--token", "-"], Some("abc\nhello\n")).await;
    assert_eq!((seen("authorization", &mut requests).await, out.as_str()), (vec!["Bearer abc".to_owned()], "hello\n"));
    let folder = tempfile::tempdir().unwrap();
    let mut client = command(folder.path());
    client.args(["connect", &url]).env("WSGATE_TOKEN", "from-the-environment");
    run(client, Some("")).await;
    assert_eq!(seen("authorization", &mut requests).await, ["Bearer from-the-environment"]);
    talk(&[&url], Some("")).await;
    assert_eq!(seen("authorization", &mut requests).await, Vec::<String>::new());
}
