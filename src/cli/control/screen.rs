//! What goes to a terminal of what a gateway has answered. The gateway may be another user's, and its clients' words are anybody's: no
//! byte of theirs moves a cursor or turns a line around.

use std::borrow::Cow;
use std::io::{self, StdoutLock, Write};

/// Standard output, on which what is odd is spelt out.
pub(in crate::cli) struct Screen(StdoutLock<'static>);

impl Screen {
    pub(in crate::cli) fn open() -> Self {
        Self(io::stdout().lock())
    }
}

impl Write for Screen {
    /// What is formatted comes in whole pieces of text.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(spelt_out(&String::from_utf8_lossy(bytes), |c| c != '\n' && is_odd(c)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A text of several lines.
pub(super) fn lines(text: &str) -> String {
    spelt_out(text, |c| c != '\n' && is_odd(c)).into_owned()
}

/// A text that is part of one line.
pub(in crate::cli) fn plain(text: &str) -> String {
    spelt_out(text, is_odd).into_owned()
}

fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// With the escapes that logs have, which are those of JSON and of TOML.
fn spelt_out(text: &str, is_odd: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_odd) {
        return text.into();
    }
    text.chars().map(|c| if is_odd(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_or_turns_a_line_around_is_spelt_out() {
        for (text, on_a_line, on_lines) in [
            ("ann, 東京", "ann, 東京", "ann, 東京"),
            ("\u{1b}[2Jgone\r", "\\u001b[2Jgone\\u000d", "\\u001b[2Jgone\\u000d"),
            ("one\ntwo", "one\\u000atwo", "one\ntwo"),
            ("\u{9b}31m\u{202e}gpj.exe", "\\u009b31m\\u202egpj.exe", "\\u009b31m\\u202egpj.exe"),
        ] {
            assert_eq!((plain(text).as_str(), lines(text).as_str()), (on_a_line, on_lines));
        }
    }
}
