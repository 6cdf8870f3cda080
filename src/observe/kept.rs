//! An event as it is kept: what it has recorded, in few bytes, to be written when somebody wants it.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::escape::VALUE_MAX;
use super::format::{self, Look};

/// One event that has happened. Clones share what it has recorded.
#[derive(Clone, Debug)]
pub struct KeptEvent {
    at: SystemTime,
    metadata: &'static Metadata<'static>,
    /// For each field that has a value: its index in two bytes, then the value's [tag](Value), then the value.
    values: Arc<[u8]>,
}

/// A value as it was recorded. What is shown by `Display` or `Debug` is a text: it is written like one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    Text(&'a str),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    LongUnsigned(u128),
    LongSigned(i128),
    Bool(bool),
}

thread_local! {
    /// Where values are collected before it is known how many bytes they take.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl KeptEvent {
    /// Keeps an event that happens at this moment.
    pub(super) fn of(event: &Event<'_>, at: SystemTime) -> Self {
        let mut keeps = Keeps(SCRATCH.take());
        keeps.0.clear();
        event.record(&mut keeps);
        let values = keeps.0.as_slice().into();
        SCRATCH.set(keeps.0);
        Self { at, metadata: event.metadata(), values }
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.values.len()
    }

    /// How much it matters.
    pub fn level(&self) -> Level {
        *self.metadata.level()
    }

    /// The route that it tells of, where it tells of one.
    pub fn route(&self) -> Option<&str> {
        self.values().find_map(|(field, value)| match value {
            Value::Text(route) if field.name() == "route" => Some(route),
            _ => None,
        })
    }

    /// The event as a log with `format = "json"` writes it, without the newline.
    pub fn line(&self) -> String {
        let mut line = format::write(Look::Json, self.at, self.metadata, |fields| self.record(fields));
        line.truncate(line.trim_end().len());
        line
    }

    /// Records once more what was recorded.
    fn record(&self, visit: &mut dyn Visit) {
        for (field, value) in self.values() {
            match value {
                Value::Text(value) => visit.record_str(&field, value),
                Value::Unsigned(value) => visit.record_u64(&field, value),
                Value::Signed(value) => visit.record_i64(&field, value),
                Value::Float(value) => visit.record_f64(&field, value),
                Value::LongUnsigned(value) => visit.record_u128(&field, value),
                Value::LongSigned(value) => visit.record_i128(&field, value),
                Value::Bool(value) => visit.record_bool(&field, value),
            }
        }
    }

    fn values(&self) -> impl Iterator<Item = (Field, Value<'_>)> {
        let mut rest = &*self.values;
        std::iter::from_fn(move || {
            let ([low, high, tag], behind) = rest.split_first_chunk()?;
            let (value, behind) = Value::read(*tag, behind)?;
            rest = behind;
            Some((self.metadata.fields().iter().nth(usize::from(u16::from_le_bytes([*low, *high])))?, value))
        })
    }
}

impl<'a> Value<'a> {
    const TEXT: u8 = 0;
    const UNSIGNED: u8 = 1;
    const SIGNED: u8 = 2;
    const FLOAT: u8 = 3;
    const LONG_UNSIGNED: u8 = 4;
    const LONG_SIGNED: u8 = 5;
    const BOOL: u8 = 6;

    /// The value that these bytes begin with, and what is behind it.
    fn read(tag: u8, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        fn number<const N: usize, T>(bytes: &[u8], read: impl FnOnce([u8; N]) -> T) -> Option<(T, &[u8])> {
            bytes.split_first_chunk().map(|(number, behind)| (read(*number), behind))
        }
        match tag {
            Self::TEXT => {
                let (length, behind) = number(bytes, u16::from_le_bytes)?;
                let (text, behind) = behind.split_at_checked(length.into())?;
                Some((Self::Text(str::from_utf8(text).ok()?), behind))
            }
            Self::UNSIGNED => number(bytes, |value| Self::Unsigned(u64::from_le_bytes(value))),
            Self::SIGNED => number(bytes, |value| Self::Signed(i64::from_le_bytes(value))),
            Self::FLOAT => number(bytes, |value| Self::Float(f64::from_le_bytes(value))),
            Self::LONG_UNSIGNED => number(bytes, |value| Self::LongUnsigned(u128::from_le_bytes(value))),
            Self::LONG_SIGNED => number(bytes, |value| Self::LongSigned(i128::from_le_bytes(value))),
            Self::BOOL => number(bytes, |[value]| Self::Bool(value != 0)),
            _ => None,
        }
    }
}

/// Collects values.
struct Keeps(Vec<u8>);

impl Keeps {
    fn begin(&mut self, field: &Field, tag: u8) {
        let [low, high] = u16::try_from(field.index()).unwrap_or(u16::MAX).to_le_bytes();
        self.0.extend([low, high, tag]);
    }

    fn number(&mut self, field: &Field, tag: u8, bytes: &[u8]) {
        self.begin(field, tag);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: &Field, write: impl FnOnce(&mut Text<'_>) -> fmt::Result) {
        self.begin(field, Value::TEXT);
        let at = self.0.len();
        self.0.extend([0; 2]);
        // The only error is that it is longer than anybody writes.
        let _ = write(&mut Text { out: &mut self.0, left: LONGEST });
        let length = u16::try_from(self.0.len() - at - 2).unwrap_or_default();
        if let Some(place) = self.0.get_mut(at..at + 2) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// The most bytes of a text that are kept: one character more than are written of any, so that it is seen to have been longer.
const LONGEST: usize = VALUE_MAX + 4;

/// Takes a text, as much as is kept of it.
struct Text<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.get(..text.floor_char_boundary(self.left)).unwrap_or_default();
        self.out.extend_from_slice(fits.as_bytes());
        self.left -= fits.len();
        if fits.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

impl Visit for Keeps {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, Value::FLOAT, &value.to_le_bytes());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, Value::SIGNED, &value.to_le_bytes());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, Value::UNSIGNED, &value.to_le_bytes());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.number(field, Value::LONG_SIGNED, &value.to_le_bytes());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.number(field, Value::LONG_UNSIGNED, &value.to_le_bytes());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, Value::BOOL, &[value.into()]);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, |out| out.write_str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, |out| write!(out, "{value:?}"));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;
    use std::time::{Duration, UNIX_EPOCH};

    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
    use tracing_subscriber::registry::Registry;

    use super::*;
    use crate::observe::format::line;

    /// Keeps events, and writes them at once.
    #[derive(Default)]
    struct Both(Arc<Mutex<Vec<(KeptEvent, String)>>>);

    impl<S: tracing::Subscriber> Layer<S> for Both {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let at = UNIX_EPOCH + Duration::from_millis(1_764_547_200_123);
            self.0.lock().unwrap().push((KeptEvent::of(event, at), line(Look::Json, at, event)));
        }
    }

    fn both(emit: impl FnOnce()) -> Vec<(KeptEvent, String)> {
        let all = Arc::default();
        tracing::subscriber::with_default(Registry::default().with(Both(Arc::clone(&all))), emit);
        std::mem::take(&mut *all.lock().unwrap())
    }

    /// An event of this text, as it is kept.
    pub(in crate::observe) fn kept(text: &str) -> KeptEvent {
        both(|| tracing::info!(target: "wsgate::gateway", text)).remove(0).0
    }

    impl KeptEvent {
        /// One that takes so many bytes, and says nothing.
        pub(in crate::observe) fn large(bytes: usize) -> Self {
            Self { values: vec![u8::MAX; bytes].into(), ..kept("") }
        }
    }

    #[test]
    fn what_was_kept_is_written_as_what_happens_is() {
        let (none, some) = (None::<&str>, Some("some"));
        let long = |c: &str, more: usize| format!("{}{c}", "x".repeat(VALUE_MAX - more));
        let all = both(|| {
            tracing::warn!(target: "a plugin", time = true, nan = f64::NAN, float = 0.1 + 0.2, wide = u128::MAX, narrow = i128::MIN, negative = -1, "it's late");
            tracing::info!(name: "open", target: "wsgate::access", route = "chat", none, some, took = 1.5, count = u64::MAX, ip = %"::1", debug = ?[1, 2], empty = "", "open");
            tracing::error!(target: "wsgate::gateway", text = "a \"quoted\"\n\u{202e}line");
            for text in
                [long("", 0), long("x", 0), long("é", 1), long("é", 2), long("\u{1f600}", 3), long("\u{1f600}", 4), long(&"é".repeat(9), 1)]
            {
                tracing::info!(target: "wsgate::gateway", text, behind = 1);
                tracing::info!(target: "wsgate::gateway", text = %text, behind = 1);
                tracing::info!(target: "wsgate::gateway", text = ?text, behind = 1);
            }
            tracing::info!(target: "wsgate::gateway", text = "\"".repeat(VALUE_MAX), behind = 1);
        });
        assert_eq!(all.len(), 25);
        for (kept, written) in &all {
            assert_eq!(format!("{}\n", kept.line()), *written);
        }
        assert_eq!(all.iter().map(|(kept, _)| kept.route()).take(2).collect::<Vec<_>>(), [None, Some("chat")]);
        assert_eq!(all.iter().map(|(kept, _)| kept.level()).take(3).collect::<Vec<_>>(), [Level::WARN, Level::INFO, Level::ERROR]);
    }
}
