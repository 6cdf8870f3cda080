//! Answers of a service: asked for once by all who would ask the same, and gone by for a while; but for those that are for one alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use tokio::time::Instant;

use crate::stage::BoxFuture;
use crate::stage::fingerprint::Fingerprint;

use super::Decision;

/// The most answers that are kept.
pub(super) const MAX_KEPT: usize = 10_000;
/// Questions that are being asked, at which those that nobody waits for are first swept out; then at twice as many as were left.
const SWEEP_AT: usize = 1024;

type Asking = BoxFuture<'static, Arc<Decision>>;

/// Answers, by the fingerprints of their questions: nothing of a credential is kept.
#[derive(Default)]
pub(super) struct Answers(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    kept: HashMap<Fingerprint, (Arc<Decision>, Instant)>,
    /// A question is dropped with the last who waits for it.
    asking: HashMap<Fingerprint, WeakShared<Asking>>,
    /// How many of those there are when those that nobody waits for are swept out next.
    sweep_at: usize,
}

impl Answers {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a question: the one that is kept, or the one that somebody waits for already, or one that `ask` brings. Of those who
    /// wait for one that is for one alone, one gets it; each of the others asks for itself, once: together again all but one would wait
    /// in vain, over and over.
    pub(super) async fn to(&self, question: Fingerprint, keep: Option<Duration>, ask: impl Fn() -> Asking) -> Arc<Decision> {
        let asking = match self.begin(question, &ask) {
            Ok(kept) => return kept,
            Err(asking) => asking,
        };
        let decision = asking.clone().await;
        if self.end(question, &asking, &decision, keep) || !decision.is_for_one() {
            return decision;
        }
        drop(asking);
        let decision = ask().await;
        self.inner().keep(question, &decision, keep);
        decision
    }

    /// The answer is there: whoever comes first of those who wait keeps it for those to come.
    fn end(&self, question: Fingerprint, asking: &Shared<Asking>, decision: &Arc<Decision>, keep: Option<Duration>) -> bool {
        let mut inner = self.inner();
        let is_first = inner.asking.get(&question).and_then(WeakShared::upgrade).is_some_and(|other| other.ptr_eq(asking));
        if is_first {
            inner.asking.remove(&question);
            inner.keep(question, decision, keep);
        }
        is_first
    }

    fn begin(&self, question: Fingerprint, ask: impl FnOnce() -> Asking) -> Result<Arc<Decision>, Shared<Asking>> {
        let mut inner = self.inner();
        if let Some((decision, until)) = inner.kept.get(&question)
            && *until > Instant::now()
        {
            return Ok(decision.clone());
        }
        if let Some(asking) = inner.asking.get(&question).and_then(WeakShared::upgrade) {
            return Err(asking);
        }
        let asking = ask().shared();
        if inner.asking.len() >= inner.sweep_at.max(SWEEP_AT) {
            inner.asking.retain(|_, asking| asking.upgrade().is_some());
            inner.sweep_at = inner.asking.len().saturating_mul(2);
        }
        inner.asking.extend(asking.downgrade().map(|weak| (question, weak)));
        Err(asking)
    }

    /// Gives back what is over.
    pub(super) fn tidy(&self) {
        let now = Instant::now();
        self.inner().kept.retain(|_, (_, until)| *until > now);
    }
}

impl Inner {
    fn keep(&mut self, question: Fingerprint, decision: &Arc<Decision>, keep: Option<Duration>) {
        let Some(keep) = keep.filter(|_| decision.may_be_kept()) else { return };
        let now = Instant::now();
        if self.kept.len() >= MAX_KEPT {
            self.kept.retain(|_, (_, until)| *until > now);
        }
        // Those that are in stay: who asks for more than there is room for would have the others asked for again and again.
        if self.kept.len() < MAX_KEPT {
            self.kept.insert(question, (decision.clone(), now + keep));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use futures_util::future::{join_all, pending};
    use http::StatusCode;
    use http::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
    use tokio::time::{advance, sleep};

    use super::*;
    use crate::stage::refusal::Words;

    const KEEP: Option<Duration> = Some(Duration::from_secs(10));

    fn yes() -> Decision {
        Decision::Yes(HeaderMap::new())
    }

    fn failed() -> Decision {
        Decision::Failed("it is down".to_owned())
    }

    /// Asks this question, counting how often it goes out.
    async fn ask(answers: &Answers, question: u32, asked: &Arc<AtomicUsize>, says: fn() -> Decision) -> Arc<Decision> {
        let ask = || -> Asking {
            let asked = asked.clone();
            Box::pin(async move {
                asked.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_secs(1)).await;
                Arc::new(says())
            })
        };
        answers.to(Fingerprint::of(question), KEEP, ask).await
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_the_same_ask_once_and_its_answer_is_kept_for_a_while() {
        let (answers, asked) = (Answers::default(), Arc::default());
        join_all((0..50).map(|_| ask(&answers, 1, &asked, yes))).await;
        ask(&answers, 1, &asked, yes).await;
        ask(&answers, 2, &asked, yes).await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        advance(Duration::from_secs(11)).await;
        ask(&answers, 1, &asked, yes).await;
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        advance(Duration::from_secs(11)).await;
        answers.tidy();
        assert!(answers.inner().kept.is_empty() && answers.inner().asking.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_never_kept() {
        let (answers, asked) = (Answers::default(), Arc::default());
        for _ in 0..2 {
            join_all((0..50).map(|_| ask(&answers, 1, &asked, failed))).await;
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_for_one_alone_is_given_to_one_and_the_others_ask_at_once() {
        fn no(status: u16, name: HeaderName) -> Decision {
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static("x"))]);
            Decision::No(Arc::new(Words { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::new() }))
        }
        let rows: [(fn() -> Decision, bool); 5] = [
            (|| no(401, SET_COOKIE), true),
            (|| no(403, SET_COOKIE), true),
            (|| no(302, LOCATION), true),
            (|| Decision::Yes(HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static("x"))])), true),
            (|| no(401, WWW_AUTHENTICATE), false),
        ];
        for (says, is_for_one) in rows {
            let (answers, asked, began) = (Answers::default(), Arc::default(), Instant::now());
            let mut all = join_all((0..50).map(|_| ask(&answers, 1, &asked, says))).await;
            assert_eq!(began.elapsed().as_secs(), if is_for_one { 2 } else { 1 }, "they wait for one another in a row");
            all.push(ask(&answers, 1, &asked, says).await);
            all.sort_by_key(Arc::as_ptr);
            all.dedup_by(|one, other| Arc::ptr_eq(one, other));
            let expected = if is_for_one { 51 } else { 1 };
            assert_eq!((all.len(), asked.load(Ordering::Relaxed)), (expected, expected), "{:?}", says());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_gone_takes_nobody_s_answer_along() {
        let (answers, asked) = (Answers::default(), Arc::<AtomicUsize>::default());
        let mut first = Box::pin(ask(&answers, 1, &asked, yes));
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(ask(&answers, 1, &asked, yes));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        second.await;
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        for question in 0..2 * u32::try_from(SWEEP_AT).unwrap() {
            assert!(answers.to(Fingerprint::of((question, "nobody")), None, || Box::pin(pending())).now_or_never().is_none());
        }
        assert!(answers.inner().asking.len() <= SWEEP_AT, "questions that nobody waits for are kept");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_answers_are_kept_than_there_may_be() {
        let (answers, asked) = (Answers::default(), Arc::default());
        let all = (0..u32::try_from(MAX_KEPT).unwrap() + 100).map(|question| ask(&answers, question, &asked, yes));
        join_all(all).await;
        assert_eq!(answers.inner().kept.len(), MAX_KEPT);
    }
}
