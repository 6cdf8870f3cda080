//! Shares of a whole: `"25%"`.

use std::fmt;
use std::str::FromStr;

use super::written_as_string;

/// A share, 1 to 100 percent: `"25%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// Whether `part` of `whole` is more than this share.
    pub fn is_exceeded_by(self, part: usize, whole: usize) -> bool {
        part as u128 * 100 > whole as u128 * u128::from(self.0)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a share; write it as \"25%\"");
        match text.strip_suffix('%').ok_or_else(wrong)?.trim_end().parse() {
            Ok(percent @ 1..=100) => Ok(Self(percent)),
            Ok(0) => Err(format!("{text:?} is nothing at all; the least is \"1%\"")),
            Ok(_) => Err(format!("{text:?} is more than all of it; the most is \"100%\"")),
            Err(_) => Err(wrong()),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

written_as_string!(Percent, "Percent", "a share: \"25%\"");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_as_it_is_written() {
        for (text, read) in
            [("25%", Some(25)), ("100 %", Some(100)), ("0%", None), ("101%", None), ("25", None), ("-1%", None), ("%", None)]
        {
            assert_eq!(text.parse().ok(), read.map(Percent), "{text}");
        }
        assert_eq!(Percent(25).to_string(), "25%");
    }

    #[test]
    fn a_share_is_exceeded_by_more_than_it() {
        let rows = [(25, 100, false), (26, 100, true), (1, 4, false), (1, 3, true), (0, 0, false)];
        for (part, whole, exceeded) in rows {
            assert_eq!(Percent(25).is_exceeded_by(part, whole), exceeded, "{part} of {whole}");
        }
    }
}
