//! Bodies cut anywhere, whole and malformed, and against hyper's own reading of the same bytes.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A body, its trailers and what is left behind it, where it is whole; where it is not, nothing.
type Read = Result<Option<(Vec<u8>, Vec<String>, Vec<u8>)>, Malformed>;

/// Reads a body of which so many bytes come at a time.
fn read(framing: Framing, bytes: &[u8], step: usize) -> Read {
    let (mut decoder, mut buffer, mut body) = (Decoder::new(framing), Vec::new(), Vec::new());
    let mut coming = bytes.chunks(step.max(1));
    loop {
        match decoder.next(&buffer)? {
            Part::Data { skip, length } => {
                assert!(length > 0);
                body.extend_from_slice(&buffer[skip..skip + length]);
                buffer.drain(..skip + length);
            }
            Part::End { skip, trailers } => {
                let fields = trailers.iter().flat_map(HeaderMap::iter).map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
                let rest = [&buffer[skip..], &coming.collect::<Vec<_>>().concat()].concat();
                return Ok(Some((body, fields.collect(), rest)));
            }
            Part::More { skip } => {
                buffer.drain(..skip);
                match coming.next() {
                    Some(more) => buffer.extend_from_slice(more),
                    None => return Ok(decoder.ends_with_connection().then(|| (body, Vec::new(), Vec::new()))),
                }
            }
        }
    }
}

#[test]
fn a_body_ends_where_it_is_said_to_and_the_rest_is_not_its() {
    let rows: [(Framing, &str, &str, &[&str], &str); 9] = [
        (Framing::Nothing, "rest", "", &[], "rest"),
        (Framing::Length(0), "rest", "", &[], "rest"),
        (Framing::Length(4), "bodyrest", "body", &[], "rest"),
        (Framing::UntilEnd, "all of it", "all of it", &[], ""),
        (Framing::Chunked, "0\r\n\r\nrest", "", &[], "rest"),
        (Framing::Chunked, "4\r\nbody\r\n0\r\n\r\nrest", "body", &[], "rest"),
        (Framing::Chunked, "2;a=b\r\nbo\r\n02\r\ndy\r\n000;z\r\n\r\nrest", "body", &[], "rest"),
        (Framing::Chunked, "A\r\n0123456789\r\n0\r\nX: a\r\ny:b \r\n\r\nrest", "0123456789", &["x=a", "y=b"], "rest"),
        (Framing::Chunked, "2;q=\"x y\"\r\n\r\n\r\n0\r\n\r\n", "\r\n", &[], ""),
    ];
    for (framing, bytes, body, trailers, rest) in rows {
        for step in 1..=bytes.len() {
            let (read, fields, left) = read(framing, bytes.as_bytes(), step).unwrap().unwrap();
            assert_eq!((&*read, &*left), (body.as_bytes(), rest.as_bytes()), "{bytes:?} by {step}");
            assert_eq!(fields, trailers, "{bytes:?} by {step}");
        }
    }
}

#[test]
fn a_body_that_is_cut_has_no_end() {
    for (framing, bytes) in [
        (Framing::Length(5), "four"),
        (Framing::Chunked, ""),
        (Framing::Chunked, "4"),
        (Framing::Chunked, "4\r"),
        (Framing::Chunked, "4;ext"),
        (Framing::Chunked, "4\r\nbod"),
        (Framing::Chunked, "4\r\nbody\r"),
        (Framing::Chunked, "4\r\nbody\r\n"),
        (Framing::Chunked, "0\r\n"),
        (Framing::Chunked, "0\r\nX: y\r\n"),
    ] {
        assert_eq!(read(framing, bytes.as_bytes(), 1), Ok(None), "{bytes:?}");
    }
}

#[test]
fn chunks_that_readers_differ_on_are_malformed_however_they_come() {
    let long = format!("4;{}", "a".repeat(MAX_CHUNK_LINE));
    let long_and_cut = format!("{long}\r");
    let heavy = format!("0\r\nX: {}", "a".repeat(MAX_TRAILERS));
    let many = format!("0\r\n{}", "X: y\r\n".repeat(MAX_TRAILER_LINES + 1));
    let rows = [
        "\r\n",
        "g\r\n",
        "+4\r\n",
        "-4\r\n",
        " 4\r\n",
        "0x4\r\n",
        "4 \r\n",
        "4\t\r\n",
        "4\n",
        "4\rx",
        "4;a\nb\r\n",
        "4;a\0\r\n",
        "4;\x7f\r\n",
        "00000000000000004\r\n",
        "4\r\nbody!\r\n",
        "4\r\nbody\n",
        "4\r\nbody\rX",
        "0\r\nX\r\n",
        "0\r\nX : y\r\n",
        "0\r\n X: y\r\n",
        "0\r\nX: y\n",
        "0\r\nX: a\0b\r\n",
        "0\r\n: y\r\n",
        "0\r\nX: y\r\r\n",
        "0\r\nX: \ry\r\n",
        "0\r\nX: y\x0c\r\n",
        "0\r\nX:\x0cy\r\n",
        &long,
        &long_and_cut,
        &heavy,
        &many,
    ];
    for bytes in rows {
        for step in [1, 3, bytes.len()] {
            assert!(read(Framing::Chunked, bytes.as_bytes(), step).is_err(), "{bytes:?} by {step}");
        }
    }
}

/// What hyper's server reads of the same chunks: the body, where it takes them for whole.
fn hypers(bytes: &[u8]) -> Option<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let (sender, mut seen) = tokio::sync::mpsc::channel(1);
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let sender = sender.clone();
            async move {
                if let Ok(body) = request.into_body().collect().await {
                    _ = sender.send(body.to_bytes().to_vec()).await;
                }
                Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::new(Bytes::new())))
            }
        });
        let serve =
            hyper::server::conn::http1::Builder::new().keep_alive(false).half_close(true).serve_connection(TokioIo::new(server), service);
        let drain = async { _ = client.read_to_end(&mut Vec::new()).await };
        _ = tokio::join!(serve, drain);
        seen.try_recv().ok()
    })
}

/// Chunks out of good and bad pieces.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let chunk =
        prop::collection::vec(any::<u8>(), 1..40).prop_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat());
    let piece = prop_oneof![
        6 => chunk,
        1 => Just(b"0\r\n\r\n".to_vec()),
        1 => Just(b"0\r\nX: y\r\n\r\n".to_vec()),
        1 => Just(b"3;ext=1\r\nabc\r\n".to_vec()),
        1 => (MAX_CHUNK_LINE - 4..MAX_CHUNK_LINE + 4).prop_map(|length| format!("1;{}\r\na\r\n", "x".repeat(length - 2)).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| [&pieces.concat()[..], b"0\r\n\r\n"].concat())
}

proptest! {
    #[test]
    fn what_is_read_does_not_depend_on_where_the_bytes_are_cut(bytes in pieces(), end: Index, step in 1usize..50) {
        let bytes = &bytes[..=end.index(bytes.len())];
        prop_assert_eq!(read(Framing::Chunked, bytes, bytes.len()), read(Framing::Chunked, bytes, step));
    }

    #[test]
    fn what_is_whole_to_us_is_whole_to_hyper_and_the_same(bytes in pieces()) {
        if let Ok(Some((body, _, _))) = read(Framing::Chunked, &bytes, bytes.len()) {
            prop_assert_eq!(Some(body), hypers(&bytes));
        }
    }
}
