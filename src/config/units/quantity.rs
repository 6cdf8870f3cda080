//! Quantities with units: lengths of time and numbers of bytes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::written_as_string;

/// A length of time, 1 ms or more: `"250ms"`, `"25s"`, `"10m"`, `"8h"`, `"30d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(Duration);

/// A number of bytes, 1 or more: `"512B"`, `"64KiB"`, `"1MiB"`, `"2GiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

const UNITS_OF_TIME: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const UNITS_OF_SIZE: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Splits `"25s"` into 25 and `"s"`.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

impl Interval {
    /// An interval of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As the standard library's type.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a length of time; write it as \"250ms\", \"25s\", \"10m\", \"8h\" or \"30d\"");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let &(_, scale) = UNITS_OF_TIME.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        match number.checked_mul(scale) {
            Some(0) => Err(format!("{text:?} is no time at all; write \"off\" to switch something off")),
            // A century keeps every sum of a moment and an interval within range.
            Some(millis) if millis <= 100 * 365 * 86_400_000 => Ok(Self(Duration::from_millis(millis))),
            _ => Err(format!("{text:?} is longer than a century")),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, scale) = UNITS_OF_TIME.iter().find(|(_, scale)| millis.is_multiple_of(*scale)).unwrap_or(&("ms", 1));
        write!(f, "{}{unit}", millis / scale)
    }
}

impl Size {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size; write it as \"512B\", \"64KiB\", \"1MiB\" or \"2GiB\"");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let &(_, scale) = UNITS_OF_SIZE.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        match number.checked_mul(scale) {
            Some(0) => Err(format!("{text:?} is no size at all; write \"off\" to switch something off")),
            Some(bytes) => Ok(Self(bytes)),
            None => Err(format!("{text:?} is too large")),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = UNITS_OF_SIZE.iter().find(|(_, scale)| self.0.is_multiple_of(*scale)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

written_as_string!(
    Interval,
    "Interval",
    "a length of time: \"250ms\", \"25s\", \"10m\", \"8h\", \"30d\"",
    r"^[0-9]*[1-9][0-9]*\s*(ms|s|m|h|d)$"
);
written_as_string!(Size, "Size", "a number of bytes: \"512B\", \"64KiB\", \"1MiB\"", r"^[0-9]*[1-9][0-9]*\s*(B|KiB|MiB|GiB)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_reads_and_prints_in_its_largest_whole_unit() {
        for (written, millis, printed) in
            [("250ms", 250, "250ms"), ("25s", 25_000, "25s"), ("60s", 60_000, "1m"), ("90s", 90_000, "90s"), ("24 h", 86_400_000, "1d")]
        {
            let interval: Interval = written.parse().unwrap();
            assert_eq!(interval.get(), Duration::from_millis(millis), "{written}");
            assert_eq!(interval.to_string(), printed);
        }
    }

    #[test]
    fn a_size_reads_and_prints_in_its_largest_whole_unit() {
        for (written, bytes, printed) in
            [("512B", 512, "512B"), ("64KiB", 65_536, "64KiB"), ("1024KiB", 1 << 20, "1MiB"), ("2GiB", 2 << 30, "2GiB")]
        {
            let size: Size = written.parse().unwrap();
            assert_eq!(size.get(), bytes, "{written}");
            assert_eq!(size.to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_quantity_says_how_to_write_one() {
        for written in ["", "25", "s", "25 sec", "-1s", "1.5s", "25S", "99999999999999999999s"] {
            assert!(written.parse::<Interval>().unwrap_err().contains("; write it as"), "{written}");
        }
        for written in ["", "64", "64k", "64KB", "-1B", "1.5MiB"] {
            assert!(written.parse::<Size>().unwrap_err().contains("; write it as"), "{written}");
        }
    }

    #[test]
    fn zero_never_switches_off() {
        assert!("0s".parse::<Interval>().unwrap_err().ends_with("write \"off\" to switch something off"));
        assert!("0B".parse::<Size>().unwrap_err().ends_with("write \"off\" to switch something off"));
    }

    #[test]
    fn a_quantity_beyond_all_reason_is_a_fault() {
        assert!("40000d".parse::<Interval>().unwrap_err().contains("longer than a century"));
        assert!("99999999999GiB".parse::<Size>().unwrap_err().contains("too large"));
    }
}
