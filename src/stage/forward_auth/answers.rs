//! Answers of a service: asked for once by all who would ask the same, and gone by for a while.

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

    /// The answer to a question: the one that is kept, or the one that somebody waits for already, or one that `ask` brings.
    pub(super) async fn to(&self, question: Fingerprint, keep: Option<Duration>, ask: impl FnOnce() -> Asking) -> Arc<Decision> {
        let asking = match self.begin(question, ask) {
            Ok(kept) => return kept,
            Err(asking) => asking,
        };
        let decision = asking.clone().await;
        let mut inner = self.inner();
        if inner.asking.get(&question).and_then(WeakShared::upgrade).is_some_and(|other| other.ptr_eq(&asking)) {
            inner.asking.remove(&question);
            if let Some(keep) = keep.filter(|_| decision.may_be_kept()) {
                inner.keep(question, decision.clone(), keep);
            }
        }
        decision
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
    fn keep(&mut self, question: Fingerprint, decision: Arc<Decision>, keep: Duration) {
        let now = Instant::now();
        if self.kept.len() >= MAX_KEPT {
            self.kept.retain(|_, (_, until)| *until > now);
        }
        // Those that are in stay: who asks for more than there is room for would have the others asked for again and again.
        if self.kept.len() < MAX_KEPT {
            self.kept.insert(question, (decision, now + keep));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::{join_all, pending};
    use http::HeaderMap;
    use tokio::time::{advance, sleep};

    use super::*;

    const KEEP: Option<Duration> = Some(Duration::from_secs(10));

    /// Asks this question, counting how often it goes out.
    async fn ask(answers: &Answers, question: u32, asked: &Arc<AtomicUsize>, yes: bool) -> Arc<Decision> {
        let asked = asked.clone();
        let ask = move || -> Asking {
            Box::pin(async move {
                asked.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_secs(1)).await;
                Arc::new(if yes { Decision::Yes(HeaderMap::new()) } else { Decision::Failed("it is down".to_owned()) })
            })
        };
        answers.to(Fingerprint::of(question), KEEP, ask).await
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_the_same_ask_once_and_its_answer_is_kept_for_a_while() {
        let (answers, asked) = (Answers::default(), Arc::default());
        join_all((0..50).map(|_| ask(&answers, 1, &asked, true))).await;
        ask(&answers, 1, &asked, true).await;
        ask(&answers, 2, &asked, true).await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        advance(Duration::from_secs(11)).await;
        ask(&answers, 1, &asked, true).await;
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        advance(Duration::from_secs(11)).await;
        answers.tidy();
        assert!(answers.inner().kept.is_empty() && answers.inner().asking.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_never_kept() {
        let (answers, asked) = (Answers::default(), Arc::default());
        for _ in 0..2 {
            join_all((0..50).map(|_| ask(&answers, 1, &asked, false))).await;
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_gone_takes_nobody_s_answer_along() {
        let (answers, asked) = (Answers::default(), Arc::<AtomicUsize>::default());
        let mut first = Box::pin(ask(&answers, 1, &asked, true));
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(ask(&answers, 1, &asked, true));
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
        let all = (0..u32::try_from(MAX_KEPT).unwrap() + 100).map(|question| ask(&answers, question, &asked, true));
        join_all(all).await;
        assert_eq!(answers.inner().kept.len(), MAX_KEPT);
    }
}
