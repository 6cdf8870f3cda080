//! Something stirs among the watched files, and when it is over.

use std::time::Duration;

use tokio::time::Instant;

/// Nothing stirs for so long: the save is complete. An edit is to be in force within 0.3 s, and a save of several files is one.
const QUIET: Duration = Duration::from_millis(100);

/// What stirs for so long is looked at all the same: longer than any save, as by a program that writes line by line, and not so long
/// that a list which is added to all the time would never be read.
const LONGEST: Duration = Duration::from_secs(2);

/// So long a file that somebody has open for writing is waited for. A shell empties `deny.txt` before the program that is to fill it
/// has begun, and an empty list must not get in force; a program that keeps its file open is to be heard all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// When something began to stir, and when it last did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stir {
    first: Instant,
    last: Instant,
}

/// It stirs.
pub(super) fn note(stir: &mut Option<Stir>, now: Instant) {
    stir.get_or_insert(Stir { first: now, last: now }).last = now;
}

impl Stir {
    /// When it is over if nothing stirs until then.
    pub(super) fn over(&self, is_being_written: bool) -> Instant {
        let latest = self.latest(is_being_written);
        if is_being_written { latest } else { latest.min(self.last + QUIET) }
    }

    /// When it is over, whatever stirs until then.
    pub(super) fn latest(&self, is_being_written: bool) -> Instant {
        self.first + if is_being_written { PATIENCE } else { LONGEST }
    }
}
