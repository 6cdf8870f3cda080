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
    assert_eq!(request.version, Some(1));
    assert!(request.path.is_some_and(|path| path.starts_with('/') && !path.contains('#')), "{:?}", request.path);
    let count = |name: &str| request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).count();
    assert_eq!((count("host"), count("transfer-encoding")), (1, 0));
    assert!(count("content-length") <= 1);
});
