//! Names of header fields: which a server may take for another, and which only the gateway may write; and their lines, written anew.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether a server that reads `_` as `-`, as CGI and all that came from it do (RFC 3875 §4.1.18), would take one name for the other.
/// Both are lower case.
pub fn reads_as(name: &str, other: &str) -> bool {
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.bytes().map(dashed).eq(other.bytes().map(dashed))
}

/// What proxies say of a client, besides `X-Forwarded-*`: where it is, and what it asked for before they rewrote it.
const PROXYS: [&str; 9] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-original-url",
    "x-rewrite-url",
];

/// Whether a field of this name says what only a proxy may say: whom the request came from, and how.
pub fn is_spoofable(name: &str) -> bool {
    let prefix = "x-forwarded-";
    PROXYS.iter().any(|other| reads_as(name, other)) || name.get(..prefix.len()).is_some_and(|start| reads_as(start, prefix))
}

/// Writes the lines of a header anew, those left empty not at all.
pub fn put(headers: &mut HeaderMap, name: &HeaderName, lines: Vec<Vec<u8>>) {
    headers.remove(name);
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        if let Ok(value) = HeaderValue::try_from(line) {
            headers.append(name, value);
        }
    }
}

/// Removes a header, and every other that a server might take for it.
pub fn take_out(headers: &mut HeaderMap, name: &HeaderName) {
    let alike: Vec<HeaderName> = headers.keys().filter(|other| reads_as(other.as_str(), name.as_str())).cloned().collect();
    for name in alike {
        headers.remove(name);
    }
}

/// What `Connection` names does not go on to a backend (RFC 9110 §7.6.1): a client must not name what is ours.
pub fn unbind(headers: &mut HeaderMap, is_ours: impl Fn(&[u8]) -> bool) {
    let elements: Vec<&[u8]> = bound(headers).collect();
    if !elements.iter().any(|element| is_ours(element)) {
        return;
    }
    let left: Vec<&[u8]> = elements.into_iter().filter(|element| !is_ours(element)).collect();
    let left = HeaderValue::from_bytes(&left.join(&b", "[..]));
    headers.remove(CONNECTION);
    headers.extend(left.ok().map(|left| (CONNECTION, left)));
}

/// What `Connection` names: fields of this connection alone, and what becomes of it.
pub fn bound(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}
