//! Escaping: a value from anywhere can neither end its line, nor pass for another field, nor move a terminal's cursor.

use std::fmt::{self, Write};

/// The longest a written value gets, in bytes; what is longer is cut and ends in [`CUT`].
pub(super) const VALUE_MAX: usize = 1024;
/// Stands where a value was cut.
pub(super) const CUT: char = '…';

/// Takes a value's text and writes it with the escapes of a JSON string (RFC 8259 §7), at most [`VALUE_MAX`] bytes of it.
///
/// Escaped is what is not printable: control characters with those of the C1 range, line separators, and the invisible ones that reorder
/// text on a screen.
pub(super) struct Escaped<'a> {
    out: &'a mut String,
    end: usize,
    is_bare: bool,
}

impl<'a> Escaped<'a> {
    fn new(out: &'a mut String) -> Self {
        let end = out.len() + VALUE_MAX;
        Self { out, end, is_bare: true }
    }

    fn put(&mut self, c: char) -> fmt::Result {
        let before = self.out.len();
        match c {
            '"' | '\\' => self.out.extend(['\\', c]),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            c if is_printable(c) => self.out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(self.out, "\\u{unit:04x}")?;
                }
            }
        }
        if self.out.len() > self.end {
            self.out.truncate(before);
            self.out.push(CUT);
            self.is_bare = false;
            return Err(fmt::Error);
        }
        self.is_bare &= c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '=');
        Ok(())
    }
}

impl Write for Escaped<'_> {
    /// Fails once the value is cut, so that whoever formats it stops.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        loop {
            // Most of what is written needs nothing: it goes in one piece.
            let fits = self.end.saturating_sub(self.out.len());
            let Some((run, behind)) = rest.split_at_checked(plain(rest.as_bytes()).min(fits)) else { return Ok(()) };
            self.out.push_str(run);
            let mut characters = behind.chars();
            let Some(c) = characters.next() else { return Ok(()) };
            self.put(c)?;
            rest = characters.as_str();
        }
    }
}

/// How many bytes from the first on stand for themselves.
fn plain(text: &[u8]) -> usize {
    // All of a chunk are looked at without a branch between them, which the compiler does at once.
    let (chunks, _) = text.as_chunks::<16>();
    let whole = chunks.iter().take_while(|chunk| chunk.iter().fold(true, |all, byte| all & is_plain(*byte))).count() * 16;
    whole + text.iter().skip(whole).take_while(|byte| is_plain(**byte)).count()
}

/// Whether a byte of ASCII stands for itself, in quotes and without.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=')
}

/// `escape_debug` leaves alone what is printable, but for quotes, the backslash and marks that join the character before them.
fn is_printable(c: char) -> bool {
    c.is_ascii_graphic() || c == ' ' || c.escape_debug().len() == 1
}

/// Writes a value in quotes, as a JSON string.
pub(super) fn quoted(out: &mut String, write: impl FnOnce(&mut Escaped<'_>) -> fmt::Result) {
    out.push('"');
    // The only error is that the value was cut.
    let _ = write(&mut Escaped::new(out));
    out.push('"');
}

/// Writes a value bare where it is printable ASCII without quotes, blanks, backslashes and equals signs, and as a JSON string where not.
pub(super) fn bare_or_quoted(out: &mut String, write: impl FnOnce(&mut Escaped<'_>) -> fmt::Result) {
    let start = out.len();
    let mut escaped = Escaped::new(out);
    // The only error is that the value was cut.
    let _ = write(&mut escaped);
    let is_bare = escaped.is_bare;
    if !is_bare || out.len() == start {
        out.insert(start, '"');
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> String {
        let mut out = String::new();
        bare_or_quoted(&mut out, |out| out.write_str(value));
        out
    }

    #[test]
    fn a_value_is_bare_only_where_it_cannot_be_taken_for_anything_else() {
        for (value, written) in [
            ("/chat/room-1?", "/chat/room-1?"),
            ("ws://[::1]:9001", "ws://[::1]:9001"),
            ("it's", "it's"),
            ("", r#""""#),
            ("two words", r#""two words""#),
            ("a=b", r#""a=b""#),
            ("é", r#""é""#),
            ("日本", r#""日本""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            (r"C:\x", r#""C:\\x""#),
            ("a\nERROR close by=gateway", r#""a\nERROR close by=gateway""#),
            ("\r\t\0", r#""\r\t\u0000""#),
            ("\x1b[2J", r#""\u001b[2J""#),
            ("\u{9b}2J", r#""\u009b2J""#),
            ("\u{7f}", r#""\u007f""#),
            ("\u{202e}txt.exe", r#""\u202etxt.exe""#),
            ("\u{2028}\u{2029}\u{85}", r#""\u2028\u2029\u0085""#),
            ("\u{feff}\u{200b}", r#""\ufeff\u200b""#),
            ("\u{e0001}", r#""\udb40\udc01""#),
        ] {
            assert_eq!(text(value), written, "{value:?}");
        }
    }

    #[test]
    fn what_needs_an_escape_has_it_wherever_it_stands() {
        for at in 0..40 {
            for (value, written) in [("\"", "\\\""), ("\\", "\\\\"), ("\u{1b}", "\\u001b"), ("=", "="), (" ", " "), ("é", "é")] {
                let (before, behind) = ("x".repeat(at), "y".repeat(20));
                assert_eq!(text(&format!("{before}{value}{behind}")), format!("\"{before}{written}{behind}\""));
            }
        }
    }

    #[test]
    fn a_quoted_value_is_a_json_string() {
        for value in ["", "a\"b\\c\n\u{1b}\u{9b}", "e\u{301} \u{202e}\u{e0001} 日本", "\u{fffd}"] {
            let mut out = String::new();
            quoted(&mut out, |out| out.write_str(value));
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), value);
        }
    }

    #[test]
    fn a_long_value_is_cut_at_a_character_and_says_so() {
        let just = "x".repeat(VALUE_MAX);
        assert_eq!(text(&just), just);
        for (long, kept) in
            [("x".repeat(VALUE_MAX + 1), VALUE_MAX), ("é".repeat(VALUE_MAX), VALUE_MAX / 2), ("\n".repeat(VALUE_MAX), VALUE_MAX / 2)]
        {
            let written = text(&long);
            let inside = written.strip_prefix('"').and_then(|w| w.strip_suffix("…\"")).unwrap();
            let inside: String = serde_json::from_str(&format!("\"{inside}\"")).unwrap();
            assert_eq!(inside.chars().count(), kept);
            assert!(long.starts_with(&inside));
        }
    }
}
