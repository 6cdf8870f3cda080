//! Header fields in which proxies say for whom they speak: `X-Forwarded-For`, `Forwarded` (RFC 7239), and those of one address.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

use super::fields::{elements, is_token, only};

/// The list that most proxies keep.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whether every proxy adds an entry of its own to this field.
pub fn is_list(name: &HeaderName) -> bool {
    *name == X_FORWARDED_FOR || *name == header::FORWARDED
}

/// What one proxy says of whoever it speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The address, an IPv4-mapped one unmapped.
    pub ip: IpAddr,
    /// Whether it was spoken to over TLS, where the same field says so.
    pub secure: Option<bool>,
}

/// What a field says, the nearest hop last; an entry that names no address is `None`. Empty where the field is not there.
///
/// # Errors
/// The rule it breaks, where it cannot be told into entries.
pub fn hops(headers: &HeaderMap, name: &HeaderName) -> Result<Vec<Option<Hop>>, &'static str> {
    let alone = |entry: &[u8]| address(str::from_utf8(entry).ok()?).map(|ip| Hop { ip, secure: None });
    if *name == X_FORWARDED_FOR {
        Ok(elements(headers, name).map(alone).collect())
    } else if *name == header::FORWARDED {
        let mut hops = Vec::new();
        for line in headers.get_all(name) {
            Elements(line.as_bytes()).read(&mut hops).ok_or("a malformed entry")?;
        }
        Ok(hops)
    } else if !headers.contains_key(name) {
        Ok(Vec::new())
    } else {
        only(headers, name).map(|line| vec![alone(line)]).ok_or("more than one line of it")
    }
}

/// An address as proxies write it: with a port or without, an IPv6 one in brackets or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    ip.as_ref().map(IpAddr::to_canonical)
}

/// A `Forwarded` line, as far as it is still to be read (RFC 7239 §4). Strict: a line that two parsers could tell apart in two ways is
/// not to be believed, as a client has written its beginning and a proxy its end.
struct Elements<'a>(&'a [u8]);

/// The parameters of an element.
type Pairs = Vec<(Vec<u8>, String)>;

impl Elements<'_> {
    /// Reads them all; nothing where one is malformed.
    fn read(mut self, hops: &mut Vec<Option<Hop>>) -> Option<()> {
        loop {
            let pairs = self.element()?;
            if !pairs.is_empty() {
                hops.push(hop(&pairs));
            }
            if self.0.is_empty() {
                return Some(());
            }
            self.take(b',')?;
        }
    }

    /// Reads one, up to its comma.
    fn element(&mut self) -> Option<Pairs> {
        let mut pairs = Pairs::new();
        loop {
            self.skip_blanks();
            if let Some(name) = self.token() {
                self.take(b'=')?;
                let value = self.value()?;
                // No parameter occurs twice in an element (§4).
                if pairs.iter().any(|(other, _)| name.eq_ignore_ascii_case(other)) {
                    return None;
                }
                pairs.push((name, value));
            }
            self.skip_blanks();
            if self.take(b';').is_none() {
                return Some(pairs);
            }
        }
    }

    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn token(&mut self) -> Option<Vec<u8>> {
        let end = self.0.iter().position(|byte| !is_token(&[*byte])).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at_checked(end).filter(|(token, _)| !token.is_empty())?;
        self.0 = rest;
        Some(token.to_vec())
    }

    /// A quoted string (RFC 9110 §5.6.4), without its quotes, or all up to the next delimiter: some proxies leave the quotes off an
    /// address that needs them.
    fn value(&mut self) -> Option<String> {
        if self.take(b'"').is_none() {
            let end = self.0.iter().position(|byte| b" \t;,\"".contains(byte)).unwrap_or(self.0.len());
            let (value, rest) = self.0.split_at_checked(end).filter(|(value, _)| !value.is_empty())?;
            self.0 = rest;
            return String::from_utf8(value.to_vec()).ok();
        }
        let mut value = Vec::new();
        loop {
            let (byte, rest) = self.0.split_first()?;
            let (byte, rest) = match byte {
                b'"' => {
                    self.0 = rest;
                    return String::from_utf8(value).ok();
                }
                b'\\' => rest.split_first()?,
                byte => (byte, rest),
            };
            value.push(*byte);
            self.0 = rest;
        }
    }
}

/// What an element says. A name that stands for an address, as `unknown` or `_hidden`, is none (§6).
fn hop(pairs: &Pairs) -> Option<Hop> {
    let of = |name: &[u8]| pairs.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value);
    Some(Hop { ip: address(of(b"for")?)?, secure: of(b"proto").and_then(is_secure) })
}

/// Whether a scheme, as proxies name the one they were spoken to in, is one over TLS.
pub fn is_secure(scheme: &str) -> Option<bool> {
    match scheme.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// What these lines of this field say, each entry as text, `-` where it names no address.
    fn said(name: &'static str, lines: &[&str]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let shown = |hop: Hop| {
            let scheme = match hop.secure {
                None => "",
                Some(true) => " https",
                Some(false) => " http",
            };
            format!("{}{scheme}", hop.ip)
        };
        let hops = hops(&headers, &HeaderName::from_static(name))?;
        Ok(hops.into_iter().map(|hop| hop.map_or("-".to_owned(), shown)).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_list_is_read_over_all_its_lines() {
        for (lines, hops) in [
            (&["192.0.2.7"][..], "192.0.2.7"),
            (&["192.0.2.7, 10.0.0.1", "10.0.0.2"], "192.0.2.7, 10.0.0.1, 10.0.0.2"),
            (&[" 192.0.2.7:443 ,,2001:db8::7"], "192.0.2.7, 2001:db8::7"),
            (&["[2001:db8::7]:443, [2001:db8::8]"], "2001:db8::7, 2001:db8::8"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            (&["unknown, _hidden, 192.0.2.07, 192.0.2.7:x, localhost, [192.0.2.7, \"192.0.2.7\"", "ü"], "-, -, -, -, -, -, -, -"),
            (&[""], ""),
            (&[], ""),
        ] {
            assert_eq!(said("x-forwarded-for", lines).as_deref(), Ok(hops), "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_writes_it() {
        for (lines, hops) in [
            (&["for=192.0.2.43"][..], "192.0.2.43"),
            (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (&["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60 http"),
            (&["for=192.0.2.43, for=198.51.100.17;proto=HTTPS"], "192.0.2.43, 198.51.100.17 https"),
            (&["proto=https;for=192.0.2.43 , for=\"198.51.100.17\""], "192.0.2.43 https, 198.51.100.17"),
            (&["for=192.0.2.43", "for=198.51.100.17:80;host=\"a;b,c\\\"d\""], "192.0.2.43, 198.51.100.17"),
            (&["for=unknown, for=_hidden, for=\"_SEVKISEK\", proto=https"], "-, -, -, -"),
            (&["for=192.0.2.43;proto=gopher;;,,"], "192.0.2.43"),
            (&[""], ""),
        ] {
            assert_eq!(said("forwarded", lines).as_deref(), Ok(hops), "{lines:?}");
        }
    }

    #[test]
    fn a_client_cannot_quote_away_what_a_proxy_appends() {
        for line in [
            "for=\", for=192.0.2.7",
            "for=1.1.1.1;by=\", for=\"192.0.2.7\"",
            "for=1.1.1.1;by=\"\\, for=\"192.0.2.7\"",
            "for=1.1.1.1;by=\", for=\"[2001:db8::7]\";by=\"x\"",
            "for=1.1.1.1 for=192.0.2.7",
            "for=1.1.1.1;for=192.0.2.7",
            "for, for=192.0.2.7",
            "=x, for=192.0.2.7",
            "for=, for=192.0.2.7",
        ] {
            assert_eq!(said("forwarded", &[line]), Err("a malformed entry"), "{line}");
        }
    }

    #[test]
    fn a_field_of_one_address_stands_on_one_line() {
        for (lines, hops) in [
            (&["192.0.2.7"][..], Ok("192.0.2.7")),
            (&[" 2001:db8::7 "], Ok("2001:db8::7")),
            (&["192.0.2.7, 192.0.2.8"], Ok("-")),
            (&[""], Ok("-")),
            (&[], Ok("")),
            (&["192.0.2.7", "192.0.2.7"], Err("more than one line of it")),
        ] {
            assert_eq!(said("cf-connecting-ip", lines).as_deref(), hops.as_ref().map(|hops| *hops), "{lines:?}");
        }
    }
}
