//! When a set is fetched, by a clock of the test's own, from a provider that is a table.

use std::sync::Mutex;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};

use super::*;
use crate::stage::outside::{Failed, Job, Reply};

const MINUTE: Duration = Duration::from_mins(1);

/// What the provider says, what it was asked, and what was told of it.
#[derive(Default)]
struct Script {
    says: Option<String>,
    max_age: Option<u64>,
    asked: usize,
    news: Vec<News>,
    lapses: Vec<Lapse>,
}

struct Provider {
    script: Arc<Mutex<Script>>,
    set: Arc<KeySet>,
    _attends: JoinHandle<()>,
}

fn keys(names: &[&str]) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/p256.jwk.json");
    let jwk: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let named = names.iter().map(|name| {
        let mut jwk = jwk.clone();
        jwk["kid"] = (*name).into();
        jwk
    });
    serde_json::json!({ "keys": named.collect::<Vec<_>>() }).to_string()
}

impl Provider {
    fn new(says: Option<&str>) -> Self {
        let outside = Arc::new(Outside::default());
        let attendant = outside.attend();
        let script = Arc::new(Mutex::new(Script { says: says.map(str::to_owned), ..Script::default() }));
        let place = Place::Set("https://login.example.com/keys".parse().unwrap());
        let set = Arc::new(KeySet::new("login".into(), Fetch { place, trust: None, outside }));
        let shared = script.clone();
        let attends = tokio::spawn(async move {
            loop {
                match attendant.next().await {
                    Job::Run(work) => drop(tokio::spawn(work)),
                    Job::Tell(news) => shared.lock().unwrap().news.push(news),
                    Job::Recheck(lapse) => shared.lock().unwrap().lapses.push(lapse),
                    Job::Ask(_, answer) => {
                        // An answer takes a second.
                        sleep(Duration::from_secs(1)).await;
                        let mut script = shared.lock().unwrap();
                        script.asked += 1;
                        let headers = script.max_age.map(|age| (http::header::CACHE_CONTROL, format!("max-age={age}").parse().unwrap()));
                        _ = answer.send(match &script.says {
                            Some(body) => Ok(Reply {
                                status: StatusCode::OK,
                                headers: HeaderMap::from_iter(headers),
                                body: Bytes::from(body.clone()),
                            }),
                            None => Err(Failed::new("lost", "it hung up")),
                        });
                    }
                }
            }
        });
        Self { script, set, _attends: attends }
    }

    fn says(&self, says: Option<&str>) {
        self.script.lock().unwrap().says = says.map(str::to_owned);
    }

    fn asked(&self) -> usize {
        self.script.lock().unwrap().asked
    }

    fn news(&self) -> Vec<String> {
        let said = |news: News| match news {
            News::KeySetFetched { added, removed, .. } => {
                let names =
                    |ids: Vec<Arc<str>>| ids.iter().map(|id| id.split(':').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ");
                format!("+{} -{}", names(added), names(removed))
            }
            News::KeySetFailed { has_keys, .. } => format!("failed {has_keys}"),
            news => format!("{news:?}"),
        };
        std::mem::take(&mut self.script.lock().unwrap().news).into_iter().map(said).collect()
    }

    /// Who was to be judged again, by the names of their keys.
    fn lapses(&self) -> Vec<String> {
        let said = |lapse: Lapse| match lapse {
            Lapse::Keys(ids) => ids.iter().map(|id| id.split(':').next().unwrap()).collect::<Vec<_>>().join(" "),
            Lapse::Anyone => "anyone".to_owned(),
        };
        std::mem::take(&mut self.script.lock().unwrap().lapses).into_iter().map(said).collect()
    }

    /// Looks the set through, and waits for more than there is.
    async fn more(&self, kid: &str) -> Result<More, Box<Refusal>> {
        self.set.now().1.more(kid).await
    }

    fn kids(&self) -> Vec<String> {
        self.set.now().0.map(|keys| keys.iter().map(|key| key.kid.as_deref().unwrap().to_owned()).collect()).unwrap_or_default()
    }
}

/// Lets everything that is due come about.
async fn pass(time: Duration) {
    advance(time).await;
    sleep(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_set_is_fetched_once_it_begins_and_when_it_is_due() {
    let provider = Provider::new(Some(&keys(&["a"])));
    provider.script.lock().unwrap().max_age = Some(600);
    pass(MINUTE).await;
    assert_eq!(provider.asked(), 0, "it is fetched by nobody who is in force");
    for _ in 0..3 {
        provider.set.begin();
    }
    pass(Duration::ZERO).await;
    assert_eq!((provider.asked(), provider.kids()), (1, vec!["a".to_owned()]));
    pass(9 * MINUTE).await;
    assert_eq!(provider.asked(), 1);
    pass(2 * MINUTE).await;
    assert_eq!(provider.asked(), 2);
    assert_eq!(provider.news(), ["+a -"], "what has not changed is not told");
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_serves_on_while_its_provider_is_down_or_says_what_is_no_set() {
    let provider = Provider::new(Some(&keys(&["a"])));
    provider.set.begin();
    pass(Duration::ZERO).await;
    for says in [None, Some("{\"keys\":[]}"), Some("<html>"), None] {
        provider.says(says);
        pass(20 * MINUTE).await;
        assert_eq!(provider.kids(), ["a"], "{says:?}");
    }
    assert!(provider.set.facts().failures >= 4 && provider.set.facts().error.is_some());
    provider.says(Some(&keys(&["b"])));
    pass(6 * MINUTE).await;
    assert_eq!((provider.kids(), provider.set.facts().error), (vec!["b".to_owned()], None));
    assert_eq!(provider.news(), ["+a -", "failed true", "+b -a"], "a failure is told once until it is over");
    assert_eq!(provider.lapses(), ["anyone", "a"], "with the first keys, and with each that is gone");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_there_is_fetched_for_once_for_all_and_once_in_30_s() {
    let provider = Provider::new(Some(&keys(&["a"])));
    provider.set.begin();
    pass(Duration::ZERO).await;
    provider.says(Some(&keys(&["a", "b"])));
    let all = join_all((0..100).map(|_| provider.more("b"))).await;
    assert!(all.into_iter().all(|more| more.unwrap() == More::Fetched));
    assert_eq!((provider.asked(), provider.kids()), (2, vec!["a".to_owned(), "b".to_owned()]));
    for _ in 0..100 {
        assert_eq!(provider.more("b").await.unwrap(), More::Not);
    }
    let other = provider.more("c").await.unwrap_err();
    assert_eq!((other.outcome, other.retry_after), (AUTH_UNAVAILABLE, Some(BETWEEN - Duration::from_secs(1))), "nobody has looked for it");
    assert_eq!(provider.asked(), 2);
    advance(BETWEEN).await;
    assert_eq!(provider.more("b").await.unwrap(), More::Fetched);
    assert_eq!(provider.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_ends_while_the_set_is_looked_through_is_one_for_whoever_looks() {
    let provider = Provider::new(Some(&keys(&["a"])));
    provider.set.begin();
    let (none, looked) = provider.set.now();
    assert!(none.is_none());
    pass(Duration::ZERO).await;
    assert_eq!(looked.more("a").await.unwrap(), More::Fetched);
    assert_eq!(provider.asked(), 1, "the first keys are not fetched again for it");

    provider.says(Some(&keys(&["a", "b"])));
    let (_, looked) = provider.set.now();
    assert_eq!(provider.more("b").await.unwrap(), More::Fetched);
    assert_eq!(looked.more("b").await.unwrap(), More::Fetched, "who looked before it came is not told that it is not there");
    assert_eq!(looked.more("c").await.unwrap(), More::Fetched);
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn while_it_cannot_be_known_which_keys_there_are_nobody_is_told_that_a_token_is_bad() {
    let provider = Provider::new(None);
    provider.set.begin();
    tokio::task::yield_now().await;
    let first = provider.more("b").await.unwrap_err();
    assert_eq!(first.outcome, AUTH_UNAVAILABLE);
    let asked = provider.asked();
    for _ in 0..100 {
        assert_eq!(provider.more("b").await.unwrap_err().outcome, AUTH_UNAVAILABLE);
    }
    assert_eq!(provider.asked(), asked, "who comes while it fails is told so at once");
    provider.says(Some(&keys(&["a"])));
    pass(MINUTE).await;
    assert_eq!((provider.kids(), provider.news()), (vec!["a".to_owned()], vec!["failed false".to_owned(), "+a -".to_owned()]));
    provider.says(None);
    assert_eq!(provider.more("b").await.unwrap_err().outcome, AUTH_UNAVAILABLE);
    assert_eq!(provider.more("b").await.unwrap_err().outcome, AUTH_UNAVAILABLE, "the last fetch has failed");
}

#[tokio::test(start_paused = true)]
async fn a_set_that_nobody_needs_any_more_is_fetched_no_more() {
    let Provider { script, set, _attends } = Provider::new(Some(&keys(&["a"])));
    set.begin();
    pass(Duration::ZERO).await;
    let outside = set.outside().clone();
    assert_eq!(outside.sources().len(), 1);
    drop(set);
    pass(60 * MINUTE).await;
    assert_eq!((script.lock().unwrap().asked, outside.sources().len()), (1, 0));
}
