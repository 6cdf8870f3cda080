//! The parameters of a query, as a server would read them.

use http::Uri;
use http::request::Parts;
use http::uri::PathAndQuery;

/// Takes every parameter of this name out of a request's query, and gives their values, without escapes; the rest of the query stays as
/// it is.
pub fn take(request: &mut Parts, name: &str) -> Vec<Vec<u8>> {
    let Some(query) = request.uri.query() else { return Vec::new() };
    let (taken, left): (Vec<&str>, Vec<&str>) = query.split('&').partition(|written| parameter(written, name).is_some());
    if taken.is_empty() {
        return Vec::new();
    }
    let values = taken.iter().map(|written| decoded(parameter(written, name).unwrap_or_default())).collect();
    let question = if left.is_empty() { "" } else { "?" };
    let target = format!("{}{question}{}", request.uri.path(), left.join("&"));
    let mut parts = request.uri.clone().into_parts();
    // What is left of a target is one.
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        request.uri = uri;
    }
    values
}

/// The value of a parameter of a query, if it has this name as a server would read it; still with its escapes.
pub fn parameter<'a>(parameter: &'a str, name: &str) -> Option<&'a str> {
    let (written, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    (decoded(written) == name.as_bytes()).then_some(value)
}

/// Without its percent escapes; a broken one stands for itself.
pub fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let escaped = match (first, behind) {
            (b'%', [high, low, behind @ ..]) => digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4 | low, behind)),
            _ => None,
        };
        let (byte, behind) = escaped.unwrap_or((*first, behind));
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_named_as_a_server_would_read_it() {
        for (written, value) in [("room=1", Some("1")), ("r%6fom=a%20b=c", Some("a%20b=c")), ("room", Some("")), ("rooms=1", None)] {
            assert_eq!(parameter(written, "room"), value, "{written}");
        }
        assert_eq!(decoded("a%20b%zz%4"), b"a b%zz%4");
    }
}
