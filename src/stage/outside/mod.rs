//! What stages have done outside of them: they hand in what is to be asked, and whoever runs the gateway asks it.
//!
//! A stage touches no socket. It gets this from [`Build::outside`](super::Build::outside), which is the same for all stages and outlives
//! a snapshot. While nobody attends to it, as when a file is only checked or a request only rehearsed, nothing is asked.

mod news;
mod question;
mod trust;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::BoxFuture;
use super::cells::Cells;

pub use crate::config::units::HttpUrl;
pub use news::{News, Source, SourceFacts};
pub use question::{Answer, Failed, Question, Reply};
pub use trust::{ServiceTls, Trust};

/// The most questions that wait to be taken up; one beyond fails at once.
pub const MAX_WAITING: usize = 4096;

/// Where jobs are handed in, and taken up.
#[derive(Default)]
pub struct Outside {
    desk: Mutex<Desk>,
    has_more: Notify,
}

#[derive(Default)]
struct Desk {
    is_attended: bool,
    jobs: VecDeque<Job>,
    sources: Vec<Weak<dyn Source>>,
}

/// Something to be done outside.
pub enum Job {
    /// A question, and who waits for its answer: nobody any more where that is closed.
    Ask(Box<Question>, oneshot::Sender<Answer>),
    /// Work of a stage's own that goes on beside all traffic. There are as many as the file asks for.
    Run(BoxFuture<'static, ()>),
    /// Something to be reported.
    Tell(News),
    /// Something has changed that live connections were let in by: they are to be judged again.
    Recheck(Lapse),
}

/// Whom something concerns that has changed outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// Those that keys of these names have let in.
    Keys(Vec<Arc<str>>),
    /// Whoever has shown who it is: what that was judged by was not known until now.
    Anyone,
}

impl Outside {
    /// The one that outlives a snapshot.
    pub fn of(cells: &Cells) -> Arc<Self> {
        cells.cell("gateway", "outside", Self::default)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody takes up what is handed in.
    pub fn is_attended(&self) -> bool {
        self.desk().is_attended
    }

    /// Asks a service, on whichever thread asks for all.
    ///
    /// Cancel-safe: who is dropped waits no more, and the question with it.
    ///
    /// # Errors
    /// Why there is no answer, within the question's time.
    pub async fn ask(&self, question: Question) -> Answer {
        let within = question.within;
        let (answer, asked) = oneshot::channel();
        {
            let mut desk = self.desk();
            if !desk.is_attended {
                return Err(Failed::new("not_asked", "nothing is asked here"));
            }
            if desk.jobs.len() >= MAX_WAITING {
                return Err(Failed::new("busy", format!("{MAX_WAITING} questions wait already")));
            }
            desk.jobs.push_back(Job::Ask(Box::new(question), answer));
        }
        self.has_more.notify_one();
        match timeout(within, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Failed::new("not_asked", "the gateway stops")),
            Err(_) => Err(Failed::timed_out(within)),
        }
    }

    /// Has this done beside all traffic, from when somebody attends on.
    pub fn run(&self, work: BoxFuture<'static, ()>) {
        self.desk().jobs.push_back(Job::Run(work));
        self.has_more.notify_one();
    }

    /// Has this reported; while nobody attends, or nobody comes after what is handed in, it is not.
    pub fn tell(&self, news: News) {
        let mut desk = self.desk();
        if desk.is_attended && desk.jobs.len() < MAX_WAITING {
            desk.jobs.push_back(Job::Tell(news));
            self.has_more.notify_one();
        }
    }

    /// Has those judged again whom this concerns, and closed in turn where they would be refused now. There is one for each time that a
    /// service was asked, and none is left out for those that wait.
    pub fn recheck(&self, lapse: Lapse) {
        let mut desk = self.desk();
        if desk.is_attended {
            desk.jobs.push_back(Job::Recheck(lapse));
            self.has_more.notify_one();
        }
    }

    /// Lists something that is fetched, for as long as there is somebody who needs it.
    pub fn list(&self, source: Weak<dyn Source>) {
        self.desk().sources.push(source);
    }

    /// How things stand with all that is fetched.
    pub fn sources(&self) -> Vec<SourceFacts> {
        let mut desk = self.desk();
        desk.sources.retain(|source| source.strong_count() > 0);
        let sources = desk.sources.clone();
        drop(desk);
        let mut facts: Vec<SourceFacts> = sources.iter().filter_map(Weak::upgrade).map(|source| source.facts()).collect();
        // One that is fetched twice, by other authorities, is called the same: the one that was fetched earlier is told of.
        facts.sort_by(|one, other| (&one.name, one.fetched).cmp(&(&other.name, other.fetched)));
        facts.dedup_by(|later, first| later.name == first.name);
        facts
    }

    /// Attends to what is handed in; there is one who does.
    pub fn attend(self: &Arc<Self>) -> Attendant {
        self.desk().is_attended = true;
        Attendant(self.clone())
    }
}

/// Whoever attends. Dropped, it leaves nobody waiting.
pub struct Attendant(Arc<Outside>);

impl Attendant {
    /// The next job.
    ///
    /// Cancel-safe.
    pub async fn next(&self) -> Job {
        loop {
            let job = self.0.desk().jobs.pop_front();
            match job {
                Some(job) => return job,
                None => self.0.has_more.notified().await,
            }
        }
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        let mut desk = self.0.desk();
        desk.is_attended = false;
        let left = std::mem::take(&mut desk.jobs);
        drop(desk);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use http::HeaderMap;

    use super::*;

    fn question() -> Question {
        let url = "http://127.0.0.1:1/keys".parse().unwrap();
        Question {
            url,
            headers: HeaderMap::new(),
            trust: None,
            within: Duration::from_secs(5),
            max_body: 16,
            redirects: 0,
            takes_place: true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_asked_while_nobody_attends() {
        let outside = Arc::new(Outside::default());
        assert_eq!(outside.ask(question()).await.unwrap_err().word, "not_asked");
        drop(outside.attend());
        assert_eq!(outside.ask(question()).await.unwrap_err().word, "not_asked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_gets_its_answer_or_runs_out_of_time() {
        let outside = Arc::new(Outside::default());
        let attendant = outside.attend();
        let asked = tokio::spawn({
            let outside = outside.clone();
            async move { (outside.ask(question()).await, outside.ask(question()).await, outside.ask(question()).await) }
        });
        let Job::Ask(_, answer) = attendant.next().await else { panic!() };
        assert!(answer.send(Err(Failed::new("lost", "it hung up"))).is_ok());
        let Job::Ask(_, mut unanswered) = attendant.next().await else { panic!() };
        unanswered.closed().await;
        let Job::Ask(..) = attendant.next().await else { panic!() };
        drop(attendant);
        let (first, second, third) = asked.await.unwrap();
        assert_eq!([first, second, third].map(|answer| answer.unwrap_err().word), ["lost", "timeout", "not_asked"]);
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_may_wait_are_told_so_at_once() {
        let outside = Arc::new(Outside::default());
        let _attendant = outside.attend();
        let mut waiting = std::pin::pin!(join_all((0..MAX_WAITING).map(|_| outside.ask(question()))));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(outside.ask(question()).await.unwrap_err().word, "busy");
    }
}
