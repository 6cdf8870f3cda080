//! The one form a path has for routing, for stages and for the backend.

use std::borrow::Cow;

/// Brings a request path into the one form: percent-encoded unreserved characters are decoded, hex digits are upper case (RFC 3986 §6.2.2).
///
/// What routes match is what the backend is sent, so everything two servers could read differently is refused rather than repaired.
///
/// # Errors
/// Says in a word what is ambiguous about it: dot segments, empty segments, encoded slashes, control bytes, text that is not UTF-8.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, &'static str> {
    if !path.starts_with('/') {
        return Err("the path does not begin with a slash");
    }
    if path.bytes().any(|byte| byte == b'\\' || byte <= b' ' || byte == 0x7f) {
        return Err("a blank, backslash or control byte in the path");
    }
    if !path.is_ascii() {
        return Err("a byte in the path that must be percent-encoded");
    }
    // Servlet containers cut `;...` off each segment before they match: `/admin;x` is `/admin` to them and not to a route.
    if path.contains(';') {
        return Err("a path parameter");
    }
    let path = if path.contains('%') { Cow::Owned(decode_unreserved(path)?) } else { Cow::Borrowed(path) };
    let inner = path.trim_start_matches('/');
    if path.len() - inner.len() > 1 {
        return Err("an empty segment in the path");
    }
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err("a dot segment in the path"),
            "" if segments.peek().is_some() => return Err("an empty segment in the path"),
            _ => {}
        }
    }
    Ok(path)
}

/// Whether a path, with a query or without, is written as it may be sent (RFC 3986 §2).
pub fn is_target(target: &[u8]) -> bool {
    target.iter().all(u8::is_ascii_graphic) && http::uri::PathAndQuery::try_from(target).is_ok()
}

fn decode_unreserved(path: &str) -> Result<String, &'static str> {
    let mut form = String::with_capacity(path.len());
    let mut raw = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        form.push_str(before);
        raw.extend_from_slice(before.as_bytes());
        let hex = escape.get(1..3).ok_or("a broken percent escape in the path")?;
        let byte = u8::from_str_radix(hex, 16).map_err(|_| "a broken percent escape in the path")?;
        match byte {
            b'/' | b'\\' => return Err("an encoded slash in the path"),
            b';' => return Err("a path parameter"),
            0..=0x1f | 0x7f => return Err("an encoded control byte in the path"),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => form.push(char::from(byte)),
            _ => {
                form.push('%');
                form.push_str(&hex.to_ascii_uppercase());
            }
        }
        raw.push(byte);
        rest = escape.get(3..).unwrap_or_default();
    }
    form.push_str(rest);
    raw.extend_from_slice(rest.as_bytes());
    // Overlong UTF-8 hides a slash or a dot from whoever does not decode it.
    std::str::from_utf8(&raw).map_err(|_| "percent escapes in the path that are not UTF-8")?;
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_path_is_its_own_form() {
        for path in ["/", "/chat", "/chat/", "/a/b.c/d", "/~u/%20x", "/%C3%A4", "/..."] {
            assert_eq!(normalise(path).unwrap(), path);
        }
    }

    #[test]
    fn escapes_that_mean_the_same_become_the_same() {
        for (path, form) in [("/%63hat", "/chat"), ("/%7Eu", "/~u"), ("/%c3%a4", "/%C3%A4"), ("/a%2Db", "/a-b")] {
            assert_eq!(normalise(path).unwrap(), form);
        }
    }

    #[test]
    fn what_two_servers_could_read_differently_is_refused() {
        let ambiguous = [
            "",
            "chat",
            "*",
            "//",
            "//chat",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "/%2e%2e/b",
            "/a/%2E/b",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00b",
            "/a%0ab",
            "/%",
            "/%4",
            "/%zz",
            "/%+4",
            "/%c0%ae",
            "/%ff",
            "/..;/b",
            "/a;v=1/b",
            "/a%3bv/b",
            "/a%3B",
            "/a b",
            "/a\tb",
        ];
        for path in ambiguous {
            assert!(normalise(path).is_err(), "{path}");
        }
    }
}
