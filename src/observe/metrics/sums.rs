//! Sums: a count for each combination of label values that has occurred, and never more of them than a bound.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::MetricEncoder;
use prometheus_client::metrics::counter::ConstCounter;

use super::write::{Label, put};

/// The most combinations that are told apart in one family of one route. All values are words of the file or of our own, so that only a
/// stage with more rules than this comes here; what is beyond counts as [`OTHER`].
const COMBINATIONS: usize = 1000;

/// Stands for what is not told apart.
pub(super) const OTHER: &str = "other";

/// Counts by the values of `N` labels, in their order.
#[derive(Debug)]
pub(super) struct Sums<const N: usize>(Mutex<Vec<Sum<N>>>);

type Sum<const N: usize> = ([Box<str>; N], u64);

impl<const N: usize> Default for Sums<N> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<const N: usize> Sums<N> {
    fn lock(&self) -> MutexGuard<'_, Vec<Sum<N>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more with these values.
    pub(super) fn add(&self, values: [&str; N]) {
        self.add_many(values, 1);
    }

    /// Counts so many more with these values.
    pub(super) fn add_many(&self, values: [&str; N], more: u64) {
        let mut sums = self.lock();
        let (found, values) = match find(&sums, values) {
            Err(_) if sums.len() >= COMBINATIONS => (find(&sums, [OTHER; N]), [OTHER; N]),
            found => (found, values),
        };
        match found {
            Ok(at) => {
                if let Some((_, count)) = sums.get_mut(at) {
                    *count += more;
                }
            }
            Err(at) => sums.insert(at, (values.map(Into::into), more)),
        }
    }

    /// Forgets the counts whose values are not to be kept.
    pub(super) fn retain(&self, is_kept: impl Fn(&[Box<str>; N]) -> bool) {
        self.lock().retain(|(values, _)| is_kept(values));
    }

    /// Writes each count, with its labels behind these.
    pub(super) fn encode(&self, metric: &mut MetricEncoder<'_>, first: &[Label<'_>], names: [&str; N]) -> fmt::Result {
        for (values, count) in self.lock().iter() {
            let own = names.into_iter().zip(values.iter().map(|value| &**value));
            let labels: Vec<Label<'_>> = first.iter().copied().chain(own).collect();
            put(metric, &labels, &ConstCounter::new(*count))?;
        }
        Ok(())
    }
}

/// Where these values stand, or would.
fn find<const N: usize>(sums: &[Sum<N>], values: [&str; N]) -> Result<usize, usize> {
    sums.binary_search_by(|(others, _)| others.iter().map(|other| &**other).cmp(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts, as `values: count`.
    fn counts<const N: usize>(sums: &Sums<N>) -> Vec<String> {
        sums.lock().iter().map(|(values, count)| format!("{}: {count}", values.join(" "))).collect()
    }

    #[test]
    fn each_combination_counts_for_itself() {
        let sums = Sums::default();
        for values in [["b", "y"], ["a", "z"], ["b", "x"], ["a", "z"], ["", "z"]] {
            sums.add(values);
        }
        assert_eq!(counts(&sums), [" z: 1", "a z: 2", "b x: 1", "b y: 1"]);
        sums.retain(|[first, _]| **first != *"b");
        assert_eq!(counts(&sums), [" z: 1", "a z: 2"]);
    }

    #[test]
    fn beyond_the_bound_all_that_is_new_counts_together() {
        let sums = Sums::default();
        for round in 0..2 {
            (0..COMBINATIONS + 50).for_each(|number| sums.add([&format!("deny[{number}]")]));
            assert_eq!(sums.lock().len(), COMBINATIONS + 1);
            assert!(counts(&sums).contains(&format!("{OTHER}: {}", 50 * (round + 1))));
        }
        let all: u64 = sums.lock().iter().map(|(_, count)| count).sum();
        assert_eq!(all, 2 * (COMBINATIONS as u64 + 50));
    }
}
