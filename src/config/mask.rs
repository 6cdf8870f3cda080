//! Masks literal secrets in the text that faults show: a secret never prints, not even where it is wrong.

use std::ops::Range;

use super::dom::{Form, Node, Value};
use super::nearest::nearest;

/// The key whose value, and all below it, is secret.
pub(super) const SECRET: &str = "secret";

/// What keys of secrets are called, and the ends of their names. A `key` is public; what stands there by mistake is not. The last two
/// are headers, as a test may have them.
const NAMES: [&str; 6] = [SECRET, "key", "password", "token", "authorization", "cookie"];

/// A word longer than this is not one of those a limit counts by, misspelled.
const LONGEST_WORD: usize = 12;

/// No private key in base64 is shorter: one of Ed25519 has 64 characters.
const SHORTEST_KEY: usize = 40;

/// What a private key in PEM says of itself, wherever it stands (RFC 7468 §10 and §13).
const PRIVATE: &str = "PRIVATE KEY-----";

/// Whether a key of this name may be meant to hold a secret: `secret`, `secrets`, `jwt_secret`, `api-key`, `Passwort`.
pub(super) fn is_secret(key: &str) -> bool {
    let name = key.to_ascii_lowercase();
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or_default();
    name.contains(SECRET) || [name.as_str(), last].iter().any(|name| nearest(name, NAMES).is_some())
}

/// Whether a text gives itself away as a secret.
pub(super) fn is_private(text: &str) -> bool {
    text.contains(PRIVATE) || text.starts_with(API_KEY)
}

/// Where the query of a URL begins that services are asked with, which may hold a secret; none where it has none, or is another text. A
/// scheme that is misspelled changes nothing; backends have no query.
pub(super) fn query_at(text: &str) -> Option<usize> {
    let scheme = text.split_once("://")?.0;
    let is_backend = ["ws", "wss"].iter().any(|own| scheme.eq_ignore_ascii_case(own));
    let is_asked = !is_backend && !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphabetic());
    text.find('?').filter(|_| is_asked).map(|mark| mark + 1)
}

/// Where a URL says who asks, with a password or without; none where it does not. A scheme that is misspelled or left out changes
/// nothing, and neither does a password that has a slash in it, unencoded.
pub(super) fn user_of(url: &str) -> Option<Range<usize>> {
    let (start, has_scheme) = match url.find(":/") {
        Some(colon) => (url.get(colon + 1..)?.find(|c| c != '/').map(|slashes| colon + 1 + slashes)?, true),
        None => (0, false),
    };
    let rest = url.get(start..)?;
    let authority = rest.get(..rest.find(['/', '?', '#']).unwrap_or(rest.len()))?;
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit() || byte == b']');
    let end = match authority.rfind('@') {
        Some(end) => end,
        None => authority.rsplit_once(':').filter(|(_, port)| !is_port(port)).and_then(|_| rest.rfind('@'))?,
    };
    (has_scheme || rest.get(..end)?.contains(':')).then_some(start..start + end)
}

/// A text that may be a URL, for a message about it: without who asks, and without its query.
pub(crate) fn bare(text: &str) -> &str {
    let text = text.rsplit('@').next().unwrap_or_default();
    text.split('?').next().unwrap_or_default()
}

/// The words of a text, each with where it begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let ends = ['"', '\'', ' ', '\t', '\r', '\n'];
    text.split(ends).scan(0, |next, word| {
        let at = *next;
        *next += word.len() + 1;
        Some((at, word))
    })
}

/// The spans of what URLs in a text hold that may be secret: their queries, and who asks.
fn in_urls(text: &str) -> impl Iterator<Item = Range<usize>> {
    words(text).filter(|(_, word)| word.contains(":/") || word.contains('@')).flat_map(|(at, word)| {
        let queries = word.match_indices("://").filter_map(move |(colon, _)| {
            let start = word.get(..colon)?.rfind(|c: char| !c.is_ascii_alphabetic()).map_or(0, |before| before + 1);
            Some(start + query_at(word.get(start..)?)?..word.len())
        });
        queries.chain(user_of(word)).map(move |span| at + span.start..at + span.end)
    })
}

/// What the API keys of our own making begin with.
const API_KEY: &str = "wsg_";

/// The text with every literal secret masked, each character by one as long, so that places stay true.
///
/// A file that does not parse is masked by its lines, too, because its tree may lack what it holds.
pub(super) fn printable(text: &str, root: &Node, is_doubtful: bool) -> String {
    let mut spans = Vec::new();
    keys(root, &mut Vec::new(), &mut spans);
    let mut spans: Vec<_> = spans.into_iter().map(|span| (span, "\"'\r\n")).collect();
    if is_doubtful {
        spans.extend(doubtful_lines(text).into_iter().map(|span| (span, "\"'\r\n\t {}[],=")));
    }
    spans.extend(in_urls(text).map(|span| (span, "")));
    let mut shown = String::with_capacity(text.len());
    spans.sort_by_key(|(span, _)| span.start);
    let mut spans = spans.into_iter().peekable();
    for (at, c) in text.char_indices() {
        while spans.next_if(|(span, _)| span.end <= at).is_some() {}
        let is_masked = spans.peek().is_some_and(|(span, stays)| span.contains(&at) && !stays.contains(c));
        shown.push(if is_masked { masked(c) } else { c });
    }
    shown
}

/// The spans of the secrets below this node, which stands at this path. A kind or a name, the keys of depth 0 and 1, may be called
/// `secret` itself.
fn keys<'a>(node: &'a Node, at: &mut Vec<&'a str>, spans: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Table(table) => {
            for (key, entry) in table {
                let is_harmless = key == "key" && (is_counted_by(at.first().copied(), &entry.node) || is_named(at, &entry.node));
                if is_api_keys(at, key) {
                    api_keys(&entry.node, spans);
                } else if is_secret(key) && !is_harmless && (at.len() > 1 || entry.form() == Form::Assigned) {
                    values(&entry.node, spans);
                } else {
                    at.push(key);
                    keys(&entry.node, at, spans);
                    at.pop();
                }
            }
        }
        Value::List(list) => list.iter().for_each(|node| keys(node, at, spans)),
        Value::String(text) if is_private(text) => spans.push(node.span.clone()),
        _ => {}
    }
}

/// The key that holds lines of API keys.
pub(super) const API_KEYS: &str = "keys";

/// What the line of an API key says besides its hash. Whatever stands in the place of that may be the key.
pub(super) const OF_API_KEYS: [&str; 5] = ["name", "id", "scopes", "expires", "note"];

/// Whether the key `keys` of a table at this path holds lines of API keys.
fn is_api_keys(at: &[&str], key: &str) -> bool {
    key == API_KEYS && matches!(at, ["api_key", _])
}

/// All that lines of API keys hold, but for what they say besides their hashes.
fn api_keys(node: &Node, spans: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::List(list) => list.iter().for_each(|node| api_keys(node, spans)),
        Value::Table(table) => {
            for (key, entry) in table {
                if OF_API_KEYS.contains(&key.as_str()) {
                    keys(&entry.node, &mut Vec::new(), spans);
                } else {
                    values(&entry.node, spans);
                }
            }
        }
        _ => spans.push(node.span.clone()),
    }
}

/// Whether a `key` says what a limit counts by, which is no secret: in a table of that kind also any other word.
pub(super) fn is_counted_by(kind: Option<&str>, node: &Node) -> bool {
    match &node.value {
        Value::List(list) => list.iter().all(|node| is_counted_by(kind, node)),
        Value::String(text) => {
            let words = ["ip", "user", "route", "connection", "claim", "header"];
            let first = text.split([':', '/']).next().unwrap_or_default();
            let is_word = first.len() <= LONGEST_WORD && (text.len() <= 2 * LONGEST_WORD || nearest(first, words).is_some());
            is_count(text) || (matches!(kind, Some("rate_limit" | "message")) && is_word)
        }
        _ => false,
    }
}

/// Whether a `key` within a table of this name names the file of a private key, as beside a certificate; what is no path is hidden all
/// the same.
pub(super) fn is_key_file(within: &str, text: &str) -> bool {
    matches!(within, "tls" | "certificates") && !is_private(text) && !is_bare_key(text)
}

/// Whether a text may be a private key without the lines around it: a sequence in DER begins with an `M` in base64.
fn is_bare_key(text: &str) -> bool {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=') || c.is_ascii_whitespace();
    text.contains('\n') || (text.len() >= SHORTEST_KEY && text.trim_start().starts_with('M') && text.chars().all(is_base64))
}

fn is_named(at: &[&str], node: &Node) -> bool {
    matches!(&node.value, Value::String(text) if is_key_file(at.last().unwrap_or(&""), text))
}

/// Whether this is what a limit counts by.
pub(super) fn is_count(text: &str) -> bool {
    matches!(text, "ip" | "user" | "route" | "connection") || ["ip/", "claim:", "header:"].iter().any(|start| text.starts_with(start))
}

/// All that stands below a secret, but for the names of variables and files.
fn values(node: &Node, spans: &mut Vec<Range<usize>>) {
    let is_named = |key: &str, value: &Value| matches!(key, "env" | "file") && !matches!(value, Value::String(text) if is_private(text));
    match &node.value {
        Value::List(list) => list.iter().for_each(|node| values(node, spans)),
        Value::Table(table) => {
            let secret = table.iter().filter(|(key, entry)| !is_named(key, &entry.node.value));
            secret.for_each(|(_, entry)| values(&entry.node, spans));
        }
        _ => spans.push(node.span.clone()),
    }
}

/// What follows each line that begins to set a secret, up to the line that sets something else: what is never closed, or broken over
/// lines that cannot be, spills into those below.
fn doubtful_lines(text: &str) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    let (mut offset, mut is_open, mut fence) = (0, false, None);
    for line in text.split_inclusive('\n') {
        let begins = match fence {
            Some(_) => None,
            None => set_on(line).or_else(|| is_private(line).then_some(0)),
        };
        match begins {
            Some(start) => {
                spans.push(offset + start..offset + line.len());
                let value = line.get(start..).unwrap_or_default();
                fence = ["\"\"\"", "'''"].into_iter().find(|fence| value.matches(fence).count() % 2 == 1);
                is_open = true;
            }
            None if is_open && (fence.is_some() || !sets(line)) => {
                spans.push(offset..offset + line.len());
                fence = fence.filter(|fence| !line.contains(fence));
            }
            None => is_open = false,
        }
        offset += line.len();
    }
    spans
}

/// Whether a line sets a secret.
pub(super) fn sets_secret(line: &str) -> bool {
    set_on(line).is_some()
}

/// Where the first value stands on a line that a key before it says is secret.
fn set_on(line: &str) -> Option<usize> {
    let is_secret = |before: &str| {
        let before = before.trim_end().trim_end_matches(['"', '\'']);
        let name = before.rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))).next();
        name.is_some_and(is_secret)
    };
    line.match_indices(['=', ':']).find(|(at, _)| line.get(..*at).is_some_and(is_secret)).map(|(at, _)| at + 1)
}

/// Whether a line is a header, or gives a key a value; base64 ends in equals signs, and gives none.
fn sets(line: &str) -> bool {
    let is_key = |key: &str| key.trim().chars().all(|c| c.is_alphanumeric() || " \t-_.\"'".contains(c));
    let is_value = |value: &str| !value.trim().is_empty() && !value.starts_with('=');
    let is_header = line.starts_with('[') && line.contains(']');
    is_header || line.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value))
}

/// A character that hides this one and is as long.
fn masked(c: char) -> char {
    match c.len_utf8() {
        1 => '*',
        2 => '\u{b7}',
        3 => '\u{2022}',
        _ => '\u{10101}',
    }
}

#[cfg(test)]
mod tests {
    use super::super::Document;

    fn shown(text: &str) -> String {
        let document = Document::parse("gateway.toml", text, ".");
        document.sources()[0].printable.clone()
    }

    #[test]
    fn a_secret_is_masked_and_nothing_else() {
        for (text, masked) in [
            ("[jwt.a]\nsecret = \"hunter2\"", "[jwt.a]\nsecret = \"*******\""),
            ("[jwt.a]\nsecret = 'hünter€'", "[jwt.a]\nsecret = '*·****•'"),
            ("[jwt.a]\nsecret = [\"one\", { env = \"TWO\" }]", "[jwt.a]\nsecret = [\"***\", { env = \"TWO\" }]"),
            ("[jwt.a]\nsecret = { env = \"A\", default = \"b\" }", "[jwt.a]\nsecret = { env = \"A\", default = \"*\" }"),
            ("[jwt.a]\nsecret = { envv = \"A\" }", "[jwt.a]\nsecret = { envv = \"*\" }"),
            ("[plugin.a.b]\nsecret = 12345", "[plugin.a.b]\nsecret = *****"),
            ("[plugin.a]\nkeys = [{ secret = \"x\" }]", "[plugin.a]\nkeys = [{ secret = \"*\" }]"),
            ("secret = \"a\"\n[jwt]\nsecret = { default = \"b\" }", "secret = \"*\"\n[jwt]\nsecret = { default = \"*\" }"),
            ("[[jwt]]\nsecret = \"a\"", "[[jwt]]\nsecret = \"*\""),
            (
                "[api_key.a]\nkeys = [{ name = \"ci\", sha256 = 'x', scopes = ['a'] }, 'y']",
                "[api_key.a]\nkeys = [{ name = \"ci\", sha256 = '*', scopes = ['a'] }, '*']",
            ),
            (
                "[api_key.a]\nkeys = [{ name = 'wsg_abcdefgh_abcdefghijklmnopqrstuvwxyz234567' }]",
                "[api_key.a]\nkeys = [{ name = '*********************************************' }]",
            ),
            ("[api_key.a]\nkeys = [{ id = 'wsg_old_hunter2' }]", "[api_key.a]\nkeys = [{ id = '***************' }]"),
            ("[jwt.secret]\nuser = \"sub\"", "[jwt.secret]\nuser = \"sub\""),
            ("[jwt.a]\nsecrets = [\"one\"]", "[jwt.a]\nsecrets = [\"***\"]"),
            ("[jwt.a]\nkey = '{\"d\":1}'", "[jwt.a]\nkey = '*\"*\"***'"),
            ("[jwt.a]\nkey = { kty = \"oct\", k = \"x\" }", "[jwt.a]\nkey = { kty = \"***\", k = \"*\" }"),
            ("[listener.a]\ntls = { key = \"a.pem\" }", "[listener.a]\ntls = { key = \"a.pem\" }"),
            ("[listener.a.tls]\ncertificates = [{ key = 'a' }]", "[listener.a.tls]\ncertificates = [{ key = 'a' }]"),
            ("[listener.a.tls]\nkey = '''\nMIGH\n'''", "[listener.a.tls]\nkey = '''\n****\n'''"),
            (
                "[listener.a.tls]\nkey = 'MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f'",
                "[listener.a.tls]\nkey = '****************************************************************'",
            ),
            ("[jwt.a]\nkey = { file = \"a.pem\" }", "[jwt.a]\nkey = { file = \"a.pem\" }"),
            ("[jwt.a]\nkey = \"\"\"\nab\ncd\"\"\"", "[jwt.a]\nkey = \"\"\"\n**\n**\"\"\""),
            ("[jwt.a]\npem = '-PRIVATE KEY-----'", "[jwt.a]\npem = '*****************'"),
            ("[jwt.a]\njwks = \"HTTPS://a.b/c?key=d\" # http://e/?f", "[jwt.a]\njwks = \"HTTPS://a.b/c?*****\" # http://e/?*"),
            ("[route.a]\nendpoint = 'ws://a.b/?c'", "[route.a]\nendpoint = 'ws://a.b/?c'"),
            ("[jwt.a]\njwks = \"htp://u:PW@h/k?l\"", "[jwt.a]\njwks = \"htp://****@h/k?*\""),
            ("[jwt.a]\njwks = 'https://u:P/W@h/k?l' # http:/u@e", "[jwt.a]\njwks = 'https://*****@h/k?*' # http:/*@e"),
            ("[jwt.a]\njwks = 'u:pä@h/k'", "[jwt.a]\njwks = '***·@h/k'"),
            ("[route.a]\nendpoint = 'ws://[::1]:80/@c'", "[route.a]\nendpoint = 'ws://[::1]:80/@c'"),
            ("[route.a]\nendpoint = 'wss://u:p@a.b'", "[route.a]\nendpoint = 'wss://***@a.b'"),
            ("[jwt.a]\nissuer = 'me@a.b'", "[jwt.a]\nissuer = 'me@a.b'"),
            ("[log.a]\nAPI-Key = \"x\"\npasword = \"y\"", "[log.a]\nAPI-Key = \"*\"\npasword = \"*\""),
            ("[errors.a]\nmessages = { token_missing = \"x\" }", "[errors.a]\nmessages = { token_missing = \"x\" }"),
            ("[log.a]\nrotate = { keep = 5 }\n[token.key]\na = 1", "[log.a]\nrotate = { keep = 5 }\n[token.key]\na = 1"),
        ] {
            assert_eq!(shown(text), masked);
        }
    }

    #[test]
    fn in_a_table_of_every_kind_nothing_but_secrets_is_masked() {
        let whole = include_str!("../../tests/whole.toml");
        let is_masked = |(line, shown): &(&str, &str)| line != shown;
        let shown = shown(whole);
        let masked: Vec<_> = whole.lines().zip(shown.lines()).filter(is_masked).map(|(line, _)| line).collect();
        assert!(masked.iter().all(|line| line.starts_with("secret")), "{masked:?}");
    }

    #[test]
    fn a_secret_in_a_file_that_does_not_parse_is_masked() {
        assert_eq!(shown("[jwt.a\nsecret = \"hunter2\"\n"), "[jwt.a\nsecret = \"*******\"\n");
        assert_eq!(shown("[jwt.a]\nsecret = \"hunter2\nuser = \"sub\""), "[jwt.a]\nsecret = \"*******\nuser = \"sub\"");
        assert_eq!(shown("[jwt.a]\nsecret = hunter2"), "[jwt.a]\nsecret = *******");
    }

    #[test]
    fn a_secret_over_several_lines_of_a_file_that_does_not_parse_is_masked_to_its_end() {
        for (text, masked) in [
            ("key = \"ab\ncd==\nef\"\nuser = \"sub\"", "key = \"**\n**==\n**\"\nuser = \"sub\""),
            ("x =\nkey = '''\nk = 1\n'''\nuser = \"sub\"", "x =\nkey = '''\n*****\n'''\nuser = \"sub\""),
            ("x =\nkey = '''\nk = 1\n", "x =\nkey = '''\n*****\n"),
            ("x =\nsecrets = [\n'ab',\n'cd']\n[jwt.a]\n", "x =\nsecrets = [\n'**',\n'**']\n[jwt.a]\n"),
            ("a = { token: \"ab\" }\n", "a = { token: \"**\" }\n"),
            ("pem = \"-PRIVATE KEY-----\nab\n", "*** = \"******** ********\n**\n"),
        ] {
            assert_eq!(shown(text), masked);
        }
    }
}
