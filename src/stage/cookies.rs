//! The cookies of a request (RFC 6265): read, and taken out.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::fields::put;

/// The values of the cookies of this name, in order, without the quotes they may have (RFC 6265 §4.1.1).
pub fn values(headers: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(pairs);
    pairs.filter(|pair| is_it(pair, name)).map(value).collect()
}

/// The same, taken out; the other cookies stay as they are.
pub fn take(headers: &mut HeaderMap, name: &str) -> Vec<Vec<u8>> {
    let found = values(headers, name);
    if !found.is_empty() {
        let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
        let left = |line: &HeaderValue| pairs(line).filter(|pair| !is_it(pair, name)).collect::<Vec<_>>().join(&b"; "[..]);
        put(headers, &COOKIE, lines.iter().map(left).collect());
    }
    found
}

/// The pairs of one line (RFC 6265 §5.4).
fn pairs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

fn is_it(pair: &[u8], name: &str) -> bool {
    pair.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
}

fn value(pair: &[u8]) -> Vec<u8> {
    let value = pair.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default().trim_ascii();
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_and_taken_wherever_it_stands_and_the_others_stay() {
        let rows: [(&[&str], &[&str], &[&str]); 6] = [
            (&["a=1; s=x; b=2"], &["x"], &["a=1; b=2"]),
            (&["s=x", "a=1;s=\"y\""], &["x", "y"], &["a=1"]),
            (&["s =x=="], &["x=="], &[]),
            (&["ss=x; as=y; S=z"], &[], &["ss=x; as=y; S=z"]),
            (&["a=1;b=2"], &[], &["a=1;b=2"]),
            (&[], &[], &[]),
        ];
        for (lines, found, left) in rows {
            let mut headers = HeaderMap::new();
            lines.iter().for_each(|line| _ = headers.append(COOKIE, HeaderValue::from_static(line)));
            let read = values(&headers, "s");
            assert_eq!(read, found.iter().map(|value| value.as_bytes()).collect::<Vec<_>>(), "{lines:?}");
            assert_eq!(take(&mut headers, "s"), read, "{lines:?}");
            assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), left, "{lines:?}");
        }
    }
}
