//! Any bytes as a request: what the gateway takes for one, a lenient parser reads as the same, and as one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsgate::wire::head::{Limits, Reader};

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
    let mut rest = bytes;
    let Ok(head) = runtime.block_on(Reader::new(Limits::new(2048, 16)).read(&mut rest)) else { return };
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(head.bytes());
    let Ok(httparse::Status::Complete(length)) = parsed else { panic!("a lenient parser does not take it: {parsed:?}") };
    assert_eq!(length, head.bytes().len(), "it ends elsewhere");
    assert!(request.path.is_some_and(|path| path.starts_with('/') && !path.contains('#')), "{:?}", request.path);
    let all = |name: &'static str| request.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    assert_eq!(all("host").count(), 1);
    // One way to tell where a body ends, and the same for everybody (RFC 9112 §6.3).
    assert!(all("content-length").count() + all("transfer-encoding").count() <= 1);
    for coding in all("transfer-encoding") {
        assert!(request.version == Some(1) && coding.value.eq_ignore_ascii_case(b"chunked"), "{coding:?}");
    }
});
