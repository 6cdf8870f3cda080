//! Header fields as lists of tokens, and the fields that belong to one hop only.

use http::header::{self, HeaderMap, HeaderName};

use crate::stage::fields::reads_as;

/// Fields that mean the connection they arrive on and never the next one (RFC 9110 §7.6.1), with the lengths and codings of a
/// body that does not travel as it came.
const HOP_BY_HOP: [HeaderName; 12] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("http2-settings"),
];

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether this is a token: not empty, and nothing but token bytes.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// The elements of a comma-separated field over all its lines, in order, without blanks around them and without empty ones
/// (RFC 9110 §5.6.1). Quoted strings are not looked for: no field read this way has them.
pub fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Whether one of the elements is this token, in any case.
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    elements(headers, name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The field's value where it stands on exactly one line.
pub fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => Some(line.as_bytes().trim_ascii()),
        _ => None,
    }
}

/// Removes the fields of one hop, and those that `Connection` names.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let of_one_hop = headers.keys().filter(|name| is_of_one_hop(name)).cloned();
    let gone: Vec<HeaderName> = named_by_connection(headers).chain(of_one_hop).collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Adds to `to` those fields that are of no one hop, neither by their name nor by `Connection`, and that pass.
pub fn pass_on(from: &HeaderMap, to: &mut HeaderMap, passes: impl Fn(&HeaderName) -> bool) {
    let goes_on = |name: &HeaderName| !is_of_one_hop(name) && passes(name);
    to.extend(from.iter().filter(|(name, _)| goes_on(name)).map(|(name, value)| (name.clone(), value.clone())));
    for name in named_by_connection(from).filter(goes_on) {
        to.remove(name);
    }
}

/// Whether a field means one connection, or might to a server that takes `_` for `-`: that could see the end of a body where we do not.
fn is_of_one_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name) || (name.as_str().contains('_') && HOP_BY_HOP.iter().any(|hop| reads_as(name.as_str(), hop.as_str())))
}

/// The fields that `Connection` names.
fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    elements(headers, &header::CONNECTION).filter_map(|element| HeaderName::from_bytes(element).ok())
}

/// Writes fields as lines.
pub fn write(out: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        write_field(out, name.as_str(), value.as_bytes());
    }
}

/// Writes a field as a line, each word of its name with a capital: there are peers that compare names by case, against RFC 9110 §5.1.
pub fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    let start = out.len();
    out.extend_from_slice(name.as_bytes());
    let words = out.get_mut(start..).unwrap_or_default().split_mut(|byte| *byte == b'-');
    words.filter_map(|word| word.first_mut()).for_each(u8::make_ascii_uppercase);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value))).collect()
    }

    fn appended(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::from_static(name), http::HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn elements_are_read_over_all_lines_without_blanks_and_empty_ones() {
        let map = appended(&[("connection", " keep-alive ,, Upgrade"), ("connection", "\tx")]);
        let found: Vec<&[u8]> = elements(&map, &header::CONNECTION).collect();
        assert_eq!(found, [b"keep-alive".as_slice(), b"Upgrade", b"x"]);
        assert!(has_token(&map, &header::CONNECTION, "upgrade"));
        assert!(!has_token(&map, &header::CONNECTION, "up"));
    }

    #[test]
    fn a_field_on_two_lines_is_not_the_only_one() {
        assert_eq!(only(&appended(&[("upgrade", " a ")]), &header::UPGRADE), Some(b"a".as_slice()));
        assert_eq!(only(&appended(&[("upgrade", "a"), ("upgrade", "a")]), &header::UPGRADE), None);
        assert_eq!(only(&HeaderMap::new(), &header::UPGRADE), None);
    }

    #[test]
    fn hop_by_hop_fields_and_those_connection_names_do_not_go_on() {
        let mut map = headers(&[
            ("connection", "upgrade, X-Secret, not a token"),
            ("upgrade", "websocket"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("transfer-encoding", "chunked"),
            ("content-length", "0"),
            ("http2-settings", "x"),
            ("transfer_encoding", "chunked"),
            ("content_length", "5"),
            ("proxy_authorization", "Basic x"),
            ("cookie", "a=b"),
        ]);
        let mut passed = HeaderMap::new();
        pass_on(&map, &mut passed, |_| true);
        assert_eq!(passed.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["cookie"]);
        strip_hop_by_hop(&mut map);
        assert_eq!(map.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["cookie"]);
    }
}
