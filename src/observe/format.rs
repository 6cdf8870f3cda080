//! Lines: one `tracing` event as one line of text or one JSON object.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::escape::{Escaped, bare_or_quoted, quoted};
use super::select::is_ours;

/// How a sink's lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-22T15:04:05.123Z  INFO close connection=00000000000000ab code=1000 reason="going away"`
    Text,
    /// One object a line: `time`, `level`, `event`, and the event's fields as strings, numbers and booleans.
    Json,
}

/// How a line looks where it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Text,
    /// Text with the level coloured, for a terminal.
    Coloured,
    Json,
}

impl Look {
    pub(super) const ALL: [Self; 3] = [Self::Text, Self::Coloured, Self::Json];
}

impl From<Format> for Look {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
        }
    }
}

/// What most lines fit in, in bytes.
const LINE: usize = 512;

/// Writes an event as a line that ends in a newline and holds no other.
pub(super) fn line(look: Look, at: SystemTime, event: &Event<'_>) -> String {
    write(look, at, event.metadata(), |fields| event.record(fields))
}

/// The same of one whose values `record` gives.
pub(super) fn write(look: Look, at: SystemTime, metadata: &Metadata<'_>, record: impl FnOnce(&mut dyn Visit)) -> String {
    let mut out = String::with_capacity(LINE);
    let is_ours = is_ours(metadata);
    match look {
        Look::Json => json_head(&mut out, at, metadata),
        Look::Text | Look::Coloured => text_head(&mut out, look, at, metadata),
    }
    record(&mut Fields { out: &mut out, is_json: look == Look::Json, is_ours });
    out.push_str(if look == Look::Json { "}\n" } else { "\n" });
    out
}

fn json_head(out: &mut String, at: SystemTime, metadata: &Metadata<'_>) {
    out.push_str("{\"time\":\"");
    stamp(out, at);
    out.push_str("\",\"level\":");
    quoted(out, |out| out.write_str(word(*metadata.level())));
    out.push_str(",\"event\":");
    quoted(out, |out| out.write_str(name(metadata)));
}

fn text_head(out: &mut String, look: Look, at: SystemTime, metadata: &Metadata<'_>) {
    stamp(out, at);
    let level = metadata.level();
    // Writing to a string cannot fail.
    let _ = match look {
        Look::Coloured => write!(out, " \x1b[{}m{:>5}\x1b[0m ", colour(*level), level.as_str()),
        _ => write!(out, " {:>5} ", level.as_str()),
    };
    bare_or_quoted(out, |out| out.write_str(name(metadata)));
}

/// The event's name. An event that is not ours goes by its target, since its own name is a line of source.
fn name<'a>(metadata: &'a Metadata<'_>) -> &'a str {
    if is_ours(metadata) { metadata.name() } else { metadata.target() }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The SGR parameter of a level's colour (ECMA-48 §8.3.117).
fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 2,
    }
}

thread_local! {
    /// The second that was written last, since 1970, and how.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Writes a moment in UTC with milliseconds (RFC 3339 §5.6).
fn stamp(out: &mut String, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(known, text)| {
        if *known != since.as_secs() {
            (*known, *text) = (since.as_secs(), second(since));
        }
        out.push_str(text);
    });
    // Writing to a string cannot fail.
    let _ = write!(out, ".{:03}Z", since.subsec_millis());
}

/// The second of a moment since 1970.
fn second(since: Duration) -> String {
    let since = time::Duration::try_from(since).unwrap_or_default();
    let t = OffsetDateTime::UNIX_EPOCH.checked_add(since).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (t.date(), t.time());
    let (hour, minute, second) = (clock.hour(), clock.minute(), clock.second());
    format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}", date.year(), u8::from(date.month()), date.day())
}

/// Writes an event's fields after its head, in the order they were declared.
struct Fields<'a> {
    out: &'a mut String,
    is_json: bool,
    is_ours: bool,
}

impl Fields<'_> {
    fn key(&mut self, field: &Field) {
        let key = field.name();
        // Ours are words of our own.
        if self.is_ours && self.is_json {
            self.out.extend([",\"", key, "\":"]);
        } else if self.is_ours {
            self.out.extend([" ", key, "="]);
        } else if self.is_json {
            // An object says each key once; events that are not ours may use those of the head.
            let mark = if matches!(key, "time" | "level" | "event") { "_" } else { "" };
            self.out.push(',');
            quoted(self.out, |out| write!(out, "{key}{mark}"));
            self.out.push(':');
        } else {
            self.out.push(' ');
            bare_or_quoted(self.out, |out| out.write_str(key));
            self.out.push('=');
        }
    }

    /// A number or boolean: never quoted, nothing to escape.
    fn plain(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.key(field);
        // Writing to a string cannot fail.
        let _ = self.out.write_fmt(value);
    }

    fn string(&mut self, field: &Field, write: impl FnOnce(&mut Escaped<'_>) -> fmt::Result) {
        // The message of our own events is their name, which stands in the head.
        if self.is_ours && field.name() == "message" {
            return;
        }
        self.key(field);
        if self.is_json { quoted(self.out, write) } else { bare_or_quoted(self.out, write) }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        match value {
            value if !value.is_finite() => self.string(field, |out| write!(out, "{value}")),
            // Ours are all lengths of time in seconds.
            value if self.is_ours => self.plain(field, format_args!("{value:.3}")),
            value => self.plain(field, format_args!("{value}")),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.string(field, |out| out.write_str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.string(field, |out| write!(out, "{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
    use tracing_subscriber::registry::Registry;

    /// Writes lines of one look.
    struct Writes(Look, Arc<Mutex<String>>);

    impl<S: tracing::Subscriber> Layer<S> for Writes {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.1.lock().unwrap().push_str(&line(self.0, UNIX_EPOCH, event));
        }
    }

    #[test]
    fn an_event_that_is_not_ours_goes_by_its_target_and_keeps_its_types() {
        let report = || {
            let (some, bytes, float, wide) = (Some("a b"), [1_u8, 255], 0.1 + 0.2, u128::MAX);
            tracing::warn!(target: "a plugin", time = true, float, nan = f64::NAN, wide, ?some, ?bytes, negative = -1, "it's late");
        };
        for (look, written) in [
            (
                Look::Text,
                r#"1970-01-01T00:00:00.000Z  WARN "a plugin" message="it's late" time=true float=0.30000000000000004 nan=NaN wide=340282366920938463463374607431768211455 some="Some(\"a b\")" bytes="[1, 255]" negative=-1"#,
            ),
            (
                Look::Json,
                r#"{"time":"1970-01-01T00:00:00.000Z","level":"warn","event":"a plugin","message":"it's late","time_":true,"float":0.30000000000000004,"nan":"NaN","wide":340282366920938463463374607431768211455,"some":"Some(\"a b\")","bytes":"[1, 255]","negative":-1}"#,
            ),
        ] {
            let out = Arc::default();
            tracing::subscriber::with_default(Registry::default().with(Writes(look, Arc::clone(&out))), report);
            assert_eq!(*out.lock().unwrap(), format!("{written}\n"));
        }
    }

    #[test]
    fn only_the_level_is_coloured() {
        let out = Arc::default();
        let subscriber = Registry::default().with(Writes(Look::Coloured, Arc::clone(&out)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "plugin", path = "\x1b[0m");
            tracing::info!(target: "plugin", "");
        });
        let (red, green) = ("\x1b[31mERROR\x1b[0m", "\x1b[32m INFO\x1b[0m");
        let at = "1970-01-01T00:00:00.000Z";
        assert_eq!(*out.lock().unwrap(), format!("{at} {red} plugin path=\"\\u001b[0m\"\n{at} {green} plugin message=\"\"\n"));
    }

    #[test]
    fn a_moment_is_written_in_utc_with_milliseconds() {
        for (seconds, millis, written) in [
            (0, 0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, 7, "2000-02-29T00:00:00.007Z"),
            (1_795_359_845, 123, "2026-11-22T15:04:05.123Z"),
            (253_402_300_799, 999, "9999-12-31T23:59:59.999Z"),
        ] {
            let mut out = String::new();
            stamp(&mut out, UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis));
            assert_eq!(out, written);
        }
    }

    #[test]
    fn a_clock_before_1970_is_no_panic() {
        let mut out = String::new();
        stamp(&mut out, UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(out, "1970-01-01T00:00:00.000Z");
    }
}
