//! Moments: when a rule expires.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};
use toml::value::{Datetime, Offset};

/// A moment: a date, a time and an offset (RFC 3339), as in `2030-01-31T12:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Moment {
    written: Datetime,
    at: SystemTime,
}

impl Moment {
    /// This moment, to the second it is in.
    pub fn at(at: SystemTime) -> Self {
        let second = OffsetDateTime::from(at).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(UtcOffset::UTC);
        let (date, time) = (second.date(), second.time());
        let date = toml::value::Date { year: u16::try_from(date.year()).unwrap_or_default(), month: date.month().into(), day: date.day() };
        let time = toml::value::Time { hour: time.hour(), minute: time.minute(), second: Some(time.second()), nanosecond: None };
        Self { written: Datetime { date: Some(date), time: Some(time), offset: Some(Offset::Z) }, at: second.into() }
    }

    /// The moment by the system's clock.
    pub fn get(&self) -> SystemTime {
        self.at
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl TryFrom<Datetime> for Moment {
    type Error = String;

    fn try_from(written: Datetime) -> Result<Self, String> {
        if let Some(what) = missing_part(&written) {
            return Err(what);
        }
        let at = moment(&written).ok_or_else(|| format!("{written} is not a moment of the calendar"))?;
        Ok(Self { written, at })
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written: Datetime = text.parse().map_err(|_| format!("{text:?} is not a moment; write it as 2030-01-31T12:00:00Z"))?;
        Self::try_from(written)
    }
}

/// What keeps a date or time from being a moment, and what to write instead; nothing where it is complete.
pub(crate) fn missing_part(written: &Datetime) -> Option<String> {
    match (&written.date, &written.time, &written.offset) {
        (Some(_), Some(_), Some(_)) => None,
        (Some(_), Some(_), None) => Some(format!("{written} has no offset, so it is no one moment; write {written}Z for UTC")),
        (Some(_), None, _) => Some(format!("{written} has no time and no offset, so it is no one moment; write {written}T00:00:00Z")),
        (None, ..) => Some(format!("{written} has no date; write it as 2030-01-31T12:00:00Z")),
    }
}

fn moment(written: &Datetime) -> Option<SystemTime> {
    let (date, time, offset) = (written.date?, written.time?, written.offset?);
    let minutes = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i32::from(minutes),
    };
    let date = Date::from_calendar_date(i32::from(date.year), Month::try_from(date.month).ok()?, date.day).ok()?;
    let time = Time::from_hms_nano(time.hour, time.minute, time.second.unwrap_or(0), time.nanosecond.unwrap_or(0)).ok()?;
    let offset = UtcOffset::from_whole_seconds(minutes * 60).ok()?;
    Some(OffsetDateTime::new_in_offset(date, time, offset).into())
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Datetime::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "a moment: 2030-01-31T12:00:00Z" })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn read(written: &str) -> Result<SystemTime, String> {
        Moment::try_from(written.parse::<Datetime>().unwrap()).map(|moment| moment.get())
    }

    #[test]
    fn a_moment_is_the_same_in_every_offset() {
        for written in ["1970-01-02T00:00:00Z", "1970-01-02T01:30:00+01:30", "1970-01-01 19:00:00-05:00"] {
            assert_eq!(read(written), Ok(UNIX_EPOCH + Duration::from_secs(86_400)), "{written}");
        }
    }

    #[test]
    fn a_moment_of_the_clock_reads_back_as_it_is_written() {
        let at = UNIX_EPOCH + Duration::from_millis(1_900_000_000_750);
        let moment = Moment::at(at);
        assert_eq!((moment.to_string().as_str(), moment.get()), ("2030-03-17T17:46:40Z", at - Duration::from_millis(750)));
        assert_eq!(moment.to_string().parse(), Ok(moment));
    }

    #[test]
    fn a_date_without_its_offset_says_what_to_write() {
        for (written, hint) in [
            ("2030-01-31T12:00:00", "write 2030-01-31T12:00:00Z for UTC"),
            ("2030-01-31", "write 2030-01-31T00:00:00Z"),
            ("12:00:00", "write it as 2030-01-31T12:00:00Z"),
        ] {
            assert_eq!(read(written).unwrap_err().split("; ").nth(1), Some(hint));
        }
    }
}
