//! Buckets, at a time that the tests tell.

use super::*;
use crate::config::units::ByteRate;

impl Debt {
    /// Spends so much where anything is left, or says how long until there is.
    fn spend(&self, spent: &Spent, amount: u64) -> Result<(), Duration> {
        self.reserve(spent, amount, Duration::ZERO).map(|_| ())
    }
}

const SECOND: u64 = 1_000_000_000;

fn clock(nanos: u64) -> (Arc<AtomicU64>, Clock) {
    let told = Arc::new(AtomicU64::new(nanos));
    (told.clone(), Clock::Told(told))
}

fn rate(text: &str) -> Rate {
    toml::from_str::<toml::Table>(&format!("rate = {text}")).unwrap()["rate"].clone().try_into().unwrap()
}

fn byte_rate(text: &str) -> ByteRate {
    toml::from_str::<toml::Table>(&format!("rate = {text}")).unwrap()["rate"].clone().try_into().unwrap()
}

fn quick(text: &str, clock: &Clock) -> Quick {
    Quick::new(&rate(text), clock)
}

/// How many of a hundred pass at once.
fn passing(limit: &Quick, spent: &Spent) -> usize {
    (0..100).filter(|_| limit.spend(spent).is_ok()).count()
}

#[test]
fn a_burst_passes_and_then_one_an_interval() {
    let (time, clock) = clock(SECOND);
    let (limit, spent) = (quick("\"20/s\"", &clock), Spent::default());
    assert_eq!(passing(&limit, &spent), 20);
    assert_eq!(limit.spend(&spent), Err(Duration::from_millis(50)));
    time.fetch_add(SECOND / 20, Ordering::Relaxed);
    assert_eq!(passing(&limit, &spent), 1);
    time.fetch_add(10 * SECOND, Ordering::Relaxed);
    assert_eq!(passing(&limit, &spent), 20);
}

#[test]
fn what_is_spent_stays_spent_under_another_rate() {
    // A process that has run for an hour: counted from its own making, a new limit would find a bucket spent for an hour.
    let (_, clock) = clock(3600 * SECOND);
    let spent = Spent::default();
    assert_eq!(passing(&quick("{ rate = \"1/s\", burst = 5 }", &clock), &spent), 5);
    assert_eq!(passing(&quick("{ rate = \"1/s\", burst = 5 }", &clock), &spent), 0);
    assert_eq!(passing(&quick("{ rate = \"1/s\", burst = 15 }", &clock), &spent), 10);
}

#[test]
fn the_two_ways_of_spending_agree_on_things_that_count_one() {
    let (time, clock) = clock(7 * SECOND);
    let rate = rate("{ rate = \"3/s\", burst = 4 }");
    let (quick, debt) = (Quick::new(&rate, &clock), Debt::new(&rate, &clock));
    let (one, other) = (Spent::default(), Spent::default());
    for step in 0..200 {
        assert_eq!(quick.spend(&one).is_ok(), debt.spend(&other, 1).is_ok(), "step {step}");
        time.fetch_add(SECOND / 7 * (step % 5) / 2, Ordering::Relaxed);
    }
}

#[test]
fn what_exceeds_the_burst_passes_and_its_debt_is_paid_before_the_next() {
    let (time, clock) = clock(SECOND);
    let (limit, spent) = (Debt::new(&byte_rate("\"1KiB/s\""), &clock), Spent::default());
    assert_eq!(limit.spend(&spent, 10 << 10), Ok(()));
    let wait = limit.spend(&spent, 1).unwrap_err();
    assert_eq!(wait.as_secs(), 9);
    time.fetch_add(u64::try_from(wait.as_nanos()).unwrap() - 1, Ordering::Relaxed);
    assert_eq!(limit.spend(&spent, 1), Err(Duration::from_nanos(1)));
    time.fetch_add(1, Ordering::Relaxed);
    assert_eq!(limit.spend(&spent, 1), Ok(()));
}

#[test]
fn who_reserves_waits_behind_whoever_reserved_before() {
    let (_, clock) = clock(SECOND);
    let (limit, spent) = (Debt::new(&rate("\"10/s\""), &clock), Spent::default());
    let waits: Vec<_> = (0..12).map(|_| limit.reserve(&spent, 1, Duration::from_secs(1)).unwrap().as_millis()).collect();
    assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200]);
    let most = Duration::from_millis(250);
    assert_eq!(limit.reserve(&spent, 1, most), Err(Duration::from_millis(300)));
    assert_eq!(limit.reserve(&spent, 1, most), Err(Duration::from_millis(300)), "what is not reserved is not spent");
}

#[test]
fn amounts_beyond_all_reason_stay_in_range() {
    let (_, clock) = clock(SECOND);
    let (limit, spent) = (Debt::new(&byte_rate("\"1B/h\""), &clock), Spent::default());
    assert_eq!(limit.spend(&spent, u64::MAX), Ok(()));
    assert!(limit.spend(&spent, u64::MAX).is_err());
}

#[test]
fn nobody_owes_more_than_a_day_whatever_was_declared() {
    const DAY: u64 = 24 * 60 * 60 * SECOND;
    let rows = [("\"1KiB/s\"", DAY), ("{ rate = \"1KiB/h\", burst = \"48KiB\" }", 96 * 60 * 60 * SECOND)];
    for (written, most) in rows {
        let (time, clock) = clock(SECOND);
        let (limit, account) = (Debt::new(&byte_rate(written), &clock), Account::default());
        assert_eq!(limit.spend(&account.bytes, 1 << 62), Ok(()));
        // The rest of a message is owed, again and again.
        assert!(limit.reserve(&account.bytes, u64::MAX, Duration::MAX).is_ok());
        time.fetch_add(most - 1, Ordering::Relaxed);
        assert!(!account.is_like_new(clock.now()), "{written}");
        time.fetch_add(1, Ordering::Relaxed);
        assert!(account.is_like_new(clock.now()), "{written}");
        assert_eq!(limit.spend(&account.bytes, 1), Ok(()), "{written}");
    }
}

#[test]
fn an_account_is_like_new_when_all_has_come_back() {
    let (time, clock) = clock(SECOND);
    let account = Account::default();
    assert!(account.is_like_new(clock.now()));
    quick("\"1/s\"", &clock).spend(&account.frames).unwrap();
    assert!(!account.is_like_new(clock.now()));
    time.fetch_add(SECOND, Ordering::Relaxed);
    assert!(account.is_like_new(clock.now()));
}
