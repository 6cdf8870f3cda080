//! The JOSE headers of tokens (RFC 7515 §4): most tokens are signed as the one before was, and say so in the same words.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jsonwebtoken::{Header, decode_header};

use crate::stage::refusal::{Refusal, TOKEN_INVALID};

/// The header of the last token that was good.
#[derive(Default)]
pub(super) struct Headers(ArcSwapOption<Known>);

/// A header, and the text it was read from.
pub(super) struct Known {
    text: Box<str>,
    header: Header,
}

impl Headers {
    /// The header of this token, which is not verified.
    ///
    /// # Errors
    /// `TOKEN_INVALID` where there is none.
    pub(super) fn of(&self, token: &str) -> Result<Arc<Known>, Box<Refusal>> {
        let malformed = || invalid("malformed token");
        let text = token.rsplitn(3, '.').nth(2).ok_or_else(malformed)?;
        match self.0.load().as_ref().filter(|last| *last.text == *text) {
            Some(last) => Ok(last.clone()),
            None => Ok(Arc::new(Known { text: text.into(), header: decode_header(token).map_err(|_| malformed())? })),
        }
    }

    /// A token with this header was good: no other is kept, or anybody could have it read anew for everybody.
    pub(super) fn keep(&self, header: Arc<Known>) {
        if self.0.load().as_ref().is_none_or(|last| !Arc::ptr_eq(last, &header)) {
            self.0.store(Some(header));
        }
    }
}

/// A refusal of a token that is none.
pub(super) fn invalid(rule: impl Into<Box<str>>) -> Box<Refusal> {
    Box::new(Refusal::new(TOKEN_INVALID).rule(rule))
}

impl Deref for Known {
    type Target = Header;

    fn deref(&self) -> &Header {
        &self.header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_once_where_it_is_that_of_the_last_good_token_and_of_no_other() {
        let headers = Headers::default();
        let (hs256, hs384) = ("eyJhbGciOiJIUzI1NiJ9.e30.", "eyJhbGciOiJIUzM4NCJ9.e30.");
        let first = headers.of(hs256).unwrap();
        assert!(!Arc::ptr_eq(&first, &headers.of(hs256).unwrap()), "nobody has said that it was good");
        headers.keep(first.clone());
        assert!(Arc::ptr_eq(&first, &headers.of("eyJhbGciOiJIUzI1NiJ9.other.claims").unwrap()));
        let other = headers.of(hs384).unwrap();
        assert_eq!([&*first, &*other].map(|header| header.alg), [jsonwebtoken::Algorithm::HS256, jsonwebtoken::Algorithm::HS384]);
        for malformed in ["", "e30", "e30.", "e30.e30.", ".eyJhbGciOiJIUzI1NiJ9.e30.", "x.eyJhbGciOiJIUzI1NiJ9.e30.e30"] {
            assert!(headers.of(malformed).is_err(), "{malformed}");
        }
    }
}
