//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use http::header::{self, HeaderMap};

use super::super::fields::{is_token, is_token_byte};

/// Field lines that are no list of extensions; a handshake with such a field fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// One extension of a list, as written.
#[derive(Debug)]
pub(super) struct Extension<'a> {
    pub(super) name: &'a str,
    pub(super) parameters: Vec<(&'a str, Option<String>)>,
}

/// Reads the field over all its lines (RFC 6455 §9.1).
pub(super) fn read(headers: &HeaderMap) -> Result<Vec<Extension<'_>>, Malformed> {
    let mut extensions = Vec::new();
    for line in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        let mut cursor = Cursor { rest: line.to_str().map_err(|_| Malformed)? };
        loop {
            while cursor.skip(',') {}
            if cursor.is_at_end() {
                break;
            }
            extensions.push(cursor.extension()?);
            if !cursor.is_at_end() && !cursor.skip(',') {
                return Err(Malformed);
            }
        }
    }
    Ok(extensions)
}

/// Reads through one field line. Blanks may stand between any two tokens.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn extension(&mut self) -> Result<Extension<'a>, Malformed> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.skip(';') {
            let name = self.token()?;
            let value = if self.skip('=') { Some(self.value()?) } else { None };
            parameters.push((name, value));
        }
        Ok(Extension { name, parameters })
    }

    /// A token, or a quoted string whose content is one.
    fn value(&mut self) -> Result<String, Malformed> {
        if !self.skip('"') {
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        let mut characters = self.rest.chars();
        loop {
            let character = match characters.next().ok_or(Malformed)? {
                '"' => break,
                '\\' => characters.next().ok_or(Malformed)?,
                character => character,
            };
            value.push(character);
        }
        self.rest = characters.as_str();
        if is_token(value.as_bytes()) { Ok(value) } else { Err(Malformed) }
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        self.skip_blanks();
        let end = self.rest.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end).ok_or(Malformed)?;
        self.rest = rest;
        if token.is_empty() { Err(Malformed) } else { Ok(token) }
    }

    /// Whether this character came next; it is behind the cursor then.
    fn skip(&mut self, character: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest.is_empty()
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }
}
