//! The keys of `[api_key.*]`, with their defaults; and the line that stands for one API key, in the table or in a file.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{Many, Moment};
use crate::stage::credentials::{FirstMessageTable, Source};

use super::hash::{Argon2Hash, Sha256Hash};

/// `[api_key.NAME]`: who a client is, proven by a key of its own: for programs, which have nobody to sign in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The keys, by their hashes: lines as `wsgate key new` prints them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Line>,
    /// Files of the same lines, one key a line, with or without a comma at its end; `#` begins a comment.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub files: Many<PathBuf>,
    /// Where a key may stand: `"header:NAME"`, `"header"` as `Authorization: Bearer`, `"query:NAME"`, `"cookie:NAME"`,
    /// `"subprotocol:MARKER"` as what the client offers behind that one, `"first_message"` as the first text after the upgrade. The first
    /// that is there decides, and none of them goes on to a backend or into a log.
    #[serde(default = "sources")]
    #[schemars(extend("minItems" = 1))]
    pub sources: Many<Source>,
    /// What is known of the first message, where it is a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_message: Option<FirstMessageTable>,
}

fn is_empty(files: &Many<PathBuf>) -> bool {
    files.0.is_empty()
}

fn sources() -> Many<Source> {
    Many(vec![Source::Field(http::HeaderName::from_static("x-api-key"))])
}

/// One key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApiKey")]
pub struct Line {
    /// Whose it is: the user of logs, limits and lists. Two keys may have one name, while one takes the other's place.
    pub name: String,
    /// Its SHA-256, in hex: for keys that nobody could guess, as those of `wsgate key new`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Hash>,
    /// Its Argon2id hash instead, `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`, of 64 MiB at most: for keys that somebody might guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argon2: Option<Argon2Hash>,
    /// What tells which hash a key is to be compared with, beside `argon2`: the client shows `wsg_ID_SECRET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// What it may be used for: the `scope` that an `authorize` stage goes by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// When it is good no more: a date and time with an offset, 2027-01-31T18:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
    /// What it is for, for whoever reads the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Line {
    /// # Errors
    /// Says what is wrong with it, and with which of its keys.
    pub(super) fn check(&self) -> Result<(), (Option<&'static str>, String)> {
        let wrong = |key, why: &str| Err((Some(key), why.to_owned()));
        if self.name.trim().is_empty() {
            return wrong("name", "a key without a name is nobody's; name whose it is");
        }
        let is_line = |text: &str| !text.contains(char::is_control);
        if !is_line(&self.name) || !self.note.as_deref().is_none_or(is_line) {
            return wrong("name", "a name and a note are one line each, without control characters");
        }
        if self.name.len() + self.scopes.iter().map(|scope| scope.0.len() + 1).sum::<usize>() > MAX_CLAIMS {
            return Err((Some("scopes"), format!("the name and scopes of a key are {MAX_CLAIMS} bytes at most")));
        }
        match (&self.sha256, &self.argon2, &self.id) {
            (None, None, _) => {
                Err((None, "this key has no hash; give it `sha256` or `argon2`, as `wsgate key new` prints them".to_owned()))
            }
            (Some(_), Some(_), _) => wrong("argon2", "this key has two hashes; leave one of them out"),
            (None, Some(_), None) => {
                wrong("argon2", "nothing tells which keys are to be compared with this hash; add the `id` of `wsg_ID_SECRET`")
            }
            _ => Ok(()),
        }
    }
}

/// The form in which it is pasted: an inline table of TOML 1.0.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        write!(f, "{{ name = {}", quoted(&self.name))?;
        self.id.iter().try_for_each(|id| write!(f, ", id = \"{}\"", id.0))?;
        self.sha256.iter().try_for_each(|hash| write!(f, ", sha256 = \"{}\"", hash.expose()))?;
        self.argon2.iter().try_for_each(|hash| write!(f, ", argon2 = \"{}\"", hash.expose()))?;
        if !self.scopes.is_empty() {
            write!(f, ", scopes = [{}]", self.scopes.iter().map(|scope| quoted(&scope.0)).collect::<Vec<_>>().join(", "))?;
        }
        self.expires.iter().try_for_each(|expires| write!(f, ", expires = {expires}"))?;
        self.note.iter().try_for_each(|note| write!(f, ", note = {}", quoted(note)))?;
        f.write_str(" }")
    }
}

/// Reads and writes a word of a line, which is checked.
macro_rules! word {
    ($type:ident, $name:literal, $expecting:literal, $pattern:literal, $is:expr, $why:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $type(pub(super) Box<str>);

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let is_it: fn(u8) -> bool = $is;
                if text.is_empty() || text.len() > MAX_WORD || !text.bytes().all(is_it) {
                    return Err($why.to_owned());
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        crate::config::units::written_as_string!($type, $name, $expecting, $pattern);
    };
}

/// The longest name and scopes of a key together, in bytes: they are kept for each connection, at most twice as long in JSON.
const MAX_CLAIMS: usize = 2048;
/// The longest word of a line, in bytes.
const MAX_WORD: usize = 128;

word!(
    Scope,
    "Scope",
    "a scope: \"chat:write\"",
    r"^[!#-\[\]-~]{1,128}$",
    |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e),
    "this is not one scope; write each in quotes of its own, without blanks, quotes and backslashes (RFC 6749 §3.3)",
    "A scope (RFC 6749 §3.3)."
);
word!(
    Id,
    "ApiKeyId",
    "an id: \"k7f3wq2p\"",
    r"^[A-Za-z0-9-]{1,128}$",
    |byte| byte.is_ascii_alphanumeric() || byte == b'-',
    "this is no id of a key; it is letters, digits and dashes, as it stands in `wsg_ID_SECRET`",
    "What stands before the secret of a key: no secret itself."
);

impl Line {
    /// Reads a line of a file.
    ///
    /// # Errors
    /// Says what is wrong with it, and nothing of what stands there: it may be a key.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Alone {
            key: Line,
        }
        let (table, note) = text.rsplit_once('}').ok_or("this line is never closed; it ends in a `}`")?;
        if !matches!(note.trim().trim_start_matches(',').trim_start().chars().next(), None | Some('#')) {
            return Err("something stands behind this line's `}`; begin a comment by `#`".to_owned());
        }
        let read = toml::from_str::<Alone>(&format!("key = {table}}}"));
        read.map(|alone| alone.key).map_err(|error| {
            let said = error.message().lines().next().unwrap_or_default();
            said.strip_prefix("invalid ")
                .and_then(|said| said.split_once(", expected "))
                .map_or_else(|| said.to_owned(), |(_, expected)| format!("expected {expected}"))
        })
    }
}
