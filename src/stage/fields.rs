//! Names of header fields: which a server may take for another, and which only the gateway may write.

/// Whether a server that reads `_` as `-`, as CGI and all that came from it do (RFC 3875 §4.1.18), would take one name for the other.
/// Both are lower case.
pub fn reads_as(name: &str, other: &str) -> bool {
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.bytes().map(dashed).eq(other.bytes().map(dashed))
}

/// Whether a field of this name says what only a proxy may say: whom the request came from, and how.
pub fn is_spoofable(name: &str) -> bool {
    let prefix = "x-forwarded-";
    ["forwarded", "x-real-ip"].iter().any(|other| reads_as(name, other))
        || name.get(..prefix.len()).is_some_and(|start| reads_as(start, prefix))
}
