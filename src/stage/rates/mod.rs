//! Rates: what is counted together, what has been spent of a limit, and when it comes back.

mod bucket;
mod buckets;
mod clock;
mod key;

pub(super) use bucket::{Account, Bucket, Debt, Quick, Spent};
pub(super) use buckets::Buckets;
pub(super) use clock::Clock;
pub(super) use key::Key;
pub use key::KeyPart;
