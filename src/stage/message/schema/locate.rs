//! Where in a text of JSON something stands. The text has been read before: nothing in it is in doubt.

use std::ops::Range;

/// The bytes of what a JSON pointer (RFC 6901) leads to, as far as it leads anywhere.
pub(super) fn locate(text: &str, pointer: &str) -> Range<usize> {
    let mut here = value(text, gap(text, 0));
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        match children(text, &here).into_iter().find(|(name, _)| *name == step) {
            Some((_, child)) => here = child,
            None => break,
        }
    }
    here
}

/// What stands in an object or list, each with its name or index.
fn children(text: &str, within: &Range<usize>) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    let is_object = match byte(text, within.start) {
        Some(b'{') => true,
        Some(b'[') => false,
        _ => return found,
    };
    let mut at = gap(text, within.start + 1);
    while at + 1 < within.end {
        let mut name = found.len().to_string();
        if is_object {
            let key = value(text, at);
            at = gap(text, key.end);
            name = text.get(key).and_then(|key| serde_json::from_str(key).ok()).unwrap_or_default();
        }
        let child = value(text, at);
        at = gap(text, child.end);
        found.push((name, child));
    }
    found
}

fn byte(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

/// Where what stands between two values ends.
fn gap(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().iter().skip(at);
    at + rest.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b':')).count()
}

/// The bytes of the value that begins here.
fn value(text: &str, start: usize) -> Range<usize> {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return start..at,
            // Within a number or word.
            _ => continue,
        }
        if depth == 0 && !is_text && matches!(byte, b'"' | b'}' | b']') {
            return start..at + 1;
        }
    }
    start..text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pointer_leads_to_is_found_to_the_byte() {
        let text = "\n { \"a\": [1, \"]\\\"}\", {\"b/c\" :-1.5e3}],\n\"\\u0061~\":null , \"\": {}, \"t\":true}\n";
        for (pointer, found) in [
            ("", text.trim()),
            ("/a", r#"[1, "]\"}", {"b/c" :-1.5e3}]"#),
            ("/a/0", "1"),
            ("/a/1", r#""]\"}""#),
            ("/a/2", r#"{"b/c" :-1.5e3}"#),
            ("/a/2/b~1c", "-1.5e3"),
            ("/a~0", "null"),
            ("/", "{}"),
            ("/t", "true"),
            ("/t/x", "true"),
            ("/a/7/x", r#"[1, "]\"}", {"b/c" :-1.5e3}]"#),
            ("/missing", text.trim()),
        ] {
            assert_eq!(&text[locate(text, pointer)], found, "{pointer}");
        }
        assert_eq!((locate("7", ""), locate("7", "/x"), locate("[]", "/0")), (0..1, 0..1, 0..2));
    }
}
