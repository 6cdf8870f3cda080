//! How much of a message the validator may look at while it finds out why that does not fit.

use std::cell::Cell;

thread_local! {
    /// How many looks are left; none where they are not counted.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Counts looks until it is gone, however it goes: a verdict must not be one on half a message.
struct Counting;

impl Drop for Counting {
    fn drop(&mut self) {
        LEFT.set(None);
    }
}

/// What this comes to with so many looks; none where it wanted more. Whoever looks further sees nothing that holds anything.
pub(super) fn within<T>(looks: usize, work: impl FnOnce() -> T) -> Option<T> {
    LEFT.set(Some(looks));
    let counting = Counting;
    let done = work();
    let is_within = LEFT.get() != Some(0);
    drop(counting);
    is_within.then_some(done)
}

/// Looks at so many values; says whether that many may be.
pub(super) fn look(values: usize) -> bool {
    let Some(left) = LEFT.get() else { return true };
    let left = left.saturating_sub(values);
    LEFT.set(Some(left));
    left > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_counted_while_something_is_done_and_no_longer() {
        assert_eq!(within(3, || (look(1), look(1))), Some((true, true)));
        assert_eq!(within(3, || (look(2), look(1))), None);
        assert!(std::panic::catch_unwind(|| within(1, || panic!("{}", look(1)))).is_err());
        assert!(look(usize::MAX));
    }
}
