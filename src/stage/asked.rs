//! The words of a request that outlive it.

use std::num::NonZeroU32;

/// The host and the path that a client asks for, and the origin of the page that asks, in one piece: there are many clients.
#[derive(Clone, Debug)]
pub struct AskedFor {
    text: Box<str>,
    /// Where the path begins.
    path: u32,
    /// One more than where the origin begins, where there is one.
    origin: Option<NonZeroU32>,
}

impl AskedFor {
    /// The host, lower case and without port; the path, normalised and without query; the `Origin` header as sent, where there is one.
    pub fn new(host: &str, path: &str, origin: Option<&str>) -> Self {
        let [path_at, origin_at] = [host.len(), host.len() + path.len()].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        let origin_at = origin.and_then(|_| NonZeroU32::new(origin_at.saturating_add(1)));
        Self { text: [host, path, origin.unwrap_or_default()].concat().into(), path: path_at, origin: origin_at }
    }

    /// The host.
    pub fn host(&self) -> &str {
        self.parts().0
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.parts().1
    }

    /// The origin.
    pub fn origin(&self) -> Option<&str> {
        self.parts().2
    }

    fn parts(&self) -> (&str, &str, Option<&str>) {
        let split = |text, at: u32| str::split_at_checked(text, at as usize).unwrap_or((text, ""));
        let (asked, origin) = match self.origin {
            Some(behind) => split(&self.text, behind.get() - 1),
            None => (&*self.text, ""),
        };
        let (host, path) = split(asked, self.path);
        (host, path, self.origin.map(|_| origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_read_as_it_was_written() {
        for (host, path, origin) in [
            ("chat.example.com", "/chat", Some("https://example.com")),
            ("chat.example.com", "/chat", Some("")),
            ("", "/", None),
            ("", "", Some("https://example.com")),
            ("127.0.0.1", "*", Some("null")),
        ] {
            let asked = AskedFor::new(host, path, origin);
            assert_eq!((asked.host(), asked.path(), asked.origin()), (host, path, origin));
        }
    }
}
