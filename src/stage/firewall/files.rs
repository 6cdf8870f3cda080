//! Files of networks: one a line, each with or without an end; `#` begins a comment.

use std::fmt;
use std::path::Path;

use crate::config::fault::{Faults, KeyPath};
use crate::config::units::{Cidr, Moment};
use crate::stage::{Build, lines};

/// A line of a list: `203.0.113.0/24`, or `203.0.113.0/24 expires 2027-01-31T18:00:00Z`, with or without ` # NOTE` behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The network or address.
    pub cidr: Cidr,
    /// When the line is over.
    pub expires: Option<Moment>,
    /// Why it is there, for whoever reads the list or the log.
    pub note: Option<String>,
}

impl Line {
    /// Reads a line. One of nothing but blanks or a comment has no entry.
    ///
    /// # Errors
    /// Says what is wrong with it, and what would mend it.
    pub fn read(text: &str) -> Result<Option<Self>, String> {
        let (written, note) = text.split_once('#').map_or((text, ""), |(written, note)| (written, note.trim()));
        let written = written.trim();
        if written.is_empty() {
            return Ok(None);
        }
        let (cidr, rest) = written.split_once(char::is_whitespace).unwrap_or((written, ""));
        let mut words = rest.split_whitespace();
        let expires = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some("expires"), Some(moment), None) => Some(moment.parse()?),
            _ if cidr.parse::<Cidr>().is_ok() && rest.trim_start().starts_with(|c: char| c.is_ascii_alphabetic()) => {
                return Err(format!("{:?} is no end; write \"{cidr} expires 2027-01-31T18:00:00Z\"", rest.trim_start()));
            }
            // A range, a list of two: it is the whole that is no network.
            _ => return Err(written.parse::<Cidr>().err().unwrap_or_default()),
        };
        let note = Some(note).filter(|note| !note.is_empty()).map(str::to_owned);
        Ok(Some(Self { cidr: cidr.parse()?, expires, note }))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cidr, expires, note } = self;
        write!(f, "{cidr}")?;
        expires.iter().try_for_each(|expires| write!(f, " expires {expires}"))?;
        note.iter().try_for_each(|note| write!(f, " # {note}"))
    }
}

/// The lines of a file that the table names at `at`, with their numbers from 1. Every bad line is a fault there.
pub(super) fn read_lines(file: &Path, at: &KeyPath, build: &mut Build<'_>, faults: &mut Faults) -> Vec<(u32, Line)> {
    let mut found = Vec::new();
    lines::read(file, at, build, faults, |number, text| {
        found.extend(Line::read(text)?.map(|line| (u32::try_from(number).unwrap_or(u32::MAX), line)));
        Ok(())
    });
    found
}

/// The same, of a list whose lines are for good: one with an end is a fault too.
pub(crate) fn read(file: &Path, at: &KeyPath, build: &mut Build<'_>, faults: &mut Faults) -> Vec<(u32, Cidr)> {
    let mut found = Vec::new();
    lines::read(file, at, build, faults, |number, text| {
        let Some(Line { cidr, expires, .. }) = Line::read(text)? else { return Ok(()) };
        if let Some(expires) = expires {
            return Err(format!("{cidr} ends at {expires}, and nothing in this list does; leave the end out"));
        }
        found.push((u32::try_from(number).unwrap_or(u32::MAX), cidr));
        Ok(())
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_it_is_written() {
        for (text, written) in [
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("  2001:db8::/32\t# a lab", "2001:db8::/32 # a lab"),
            ("192.0.2.7#", "192.0.2.7"),
            ("192.0.2.7 \t expires  2027-01-31T18:00:00Z", "192.0.2.7 expires 2027-01-31T18:00:00Z"),
            ("192.0.2.7 expires 2027-01-31T19:00:00+01:00 # ticket # 7", "192.0.2.7 expires 2027-01-31T19:00:00+01:00 # ticket # 7"),
        ] {
            let line = Line::read(text).unwrap().unwrap();
            assert_eq!(line.to_string(), written);
            assert_eq!(Line::read(written), Ok(Some(line)));
        }
        assert_eq!((Line::read(""), Line::read("  # only words")), (Ok(None), Ok(None)));
    }

    #[test]
    fn a_line_that_would_judge_otherwise_than_was_meant_is_a_fault() {
        for (text, said) in [
            ("localhost", "\"localhost\" is not a network"),
            ("203.0.113.7/24", "203.0.113.7/24 is 203.0.113.0/24"),
            ("203.0.113.0 - 203.0.113.255", "\"203.0.113.0 - 203.0.113.255\" is not a network"),
            ("192.0.2.7 192.0.2.8", "\"192.0.2.7 192.0.2.8\" is not a network"),
            ("192.0.2.7  until 2027-01-31T18:00:00Z", "\"until 2027-01-31T18:00:00Z\" is no end; write \"192.0.2.7 expires"),
            ("192.0.2.7 expires", "\"expires\" is no end; write \"192.0.2.7 expires 2027-01-31T18:00:00Z\""),
            ("192.0.2.7 expires=2027-01-31T18:00:00Z", "is no end; write"),
            ("192.0.2.7 expires 2027-01-31", "has no time and no offset"),
            ("192.0.2.7 expires tomorrow", "\"tomorrow\" is not a moment"),
            ("192.0.2.7 expires 2027-01-31 18:00:00Z", "is no end"),
        ] {
            let fault = Line::read(text).unwrap_err();
            assert!(fault.contains(said), "{text}: {fault}");
        }
    }
}
