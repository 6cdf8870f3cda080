//! An answer of a running gateway, read line by line.

use std::io::{self, BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::control::protocol::{Faulty, Reply, Verb};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::{Failure, say};
use super::screen::lines;

/// How long a gateway that is well may be silent before it answers what only has to be looked up.
const PROMPT: Duration = Duration::from_secs(30);

/// How often somebody is told that an answer which may take a while is still waited for.
const REMINDER: Duration = Duration::from_secs(10);

/// How long to wait for each line.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    /// So long, and then no longer.
    Until(Duration),
    /// As long as it takes; whoever waits is told so after each of these.
    Told(Duration),
    /// As long as it takes.
    Endless,
}

/// How long to wait for what answers a verb: of what compiles a config nobody knows.
pub(super) fn patience(verb: &Verb) -> Patience {
    match verb {
        Verb::Events(follow) if follow.follow => Patience::Endless,
        Verb::Status | Verb::Show { .. } | Verb::Ps(_) | Verb::Kick(_) | Verb::Events(_) => Patience::Until(PROMPT),
        Verb::Plan { .. } | Verb::Reload { .. } | Verb::Rollback { .. } | Verb::Deny(_) | Verb::Undeny(_) | Verb::Revoke(_) => {
            Patience::Told(REMINDER)
        }
    }
}

/// An answer that is being read.
pub(in crate::cli) struct Answer {
    from: BufReader<UnixStream>,
    socket: PathBuf,
    patience: Patience,
}

impl Answer {
    pub(super) fn new(stream: UnixStream, socket: PathBuf, patience: Patience) -> Result<Self, Failure> {
        let wait = match patience {
            Patience::Until(wait) | Patience::Told(wait) => Some(wait),
            Patience::Endless => None,
        };
        stream.set_read_timeout(wait)?;
        Ok(Self { from: BufReader::new(stream), socket, patience })
    }

    /// The next line that is an item, handed to `take` as JSON text; the last line where there is none.
    pub(in crate::cli) fn items(mut self, mut take: impl FnMut(&str) -> Result<(), Failure>) -> Result<Value, Failure> {
        loop {
            let line = self.line()?;
            if let Some(item) = line.strip_prefix("{\"item\":").and_then(|rest| rest.strip_suffix('}')) {
                take(item)?;
                continue;
            }
            return match read::<Reply>(&line)? {
                Reply::Done(done) => Ok(done),
                Reply::Faults(Faulty { rendered, faults }) => Err(Failure::Told(Faulty { rendered: lines(&rendered), faults })),
                Reply::Failed(why) => Err(Failure::Could(lines(&why))),
                Reply::Item(_) => Err(Failure::could("the gateway answers otherwise than was agreed")),
            };
        }
    }

    /// The one line that is the answer, as what it says and as it is.
    pub(super) fn done<T: DeserializeOwned>(self) -> Result<(T, Value), Failure> {
        let done = self.items(|_| Ok(()))?;
        Ok((T::deserialize(&done).map_err(other_version)?, done))
    }

    /// The next line, without its end.
    fn line(&mut self) -> Result<String, Failure> {
        let (mut line, socket) = (Vec::new(), self.socket.display());
        loop {
            match self.from.read_until(b'\n', &mut line) {
                Ok(_) if line.pop_if(|last| *last == b'\n').is_some() => return String::from_utf8(line).map_err(other_version),
                Ok(_) => return Err(Failure::Could(format!("the gateway at {socket} ended the answer before it was whole"))),
                // What has come of the line is kept.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.patience {
                    Patience::Until(wait) => {
                        let wait = wait.as_secs();
                        return Err(Failure::Could(format!("the gateway at {socket} has been silent for {wait} s: it may be stopped")));
                    }
                    Patience::Told(_) => say(&format!("wsgate: still waiting for the gateway at {socket}")),
                    Patience::Endless => {}
                },
                Err(error) => return Err(error.into()),
            }
        }
    }
}

pub(in crate::cli) fn read<T: DeserializeOwned>(line: &str) -> Result<T, Failure> {
    serde_json::from_str(line).map_err(other_version)
}

/// An answer that is none: most likely of a gateway of another version.
fn other_version(error: impl std::fmt::Display) -> Failure {
    Failure::Could(format!("the gateway's answer is not understood, it may be of another version: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn answer(patience: Patience) -> (UnixStream, Answer) {
        let (gateway, client) = UnixStream::pair().unwrap();
        (gateway, Answer::new(client, "own.sock".into(), patience).ok().unwrap())
    }

    fn why(done: Result<Value, Failure>) -> String {
        match done {
            Err(Failure::Could(why)) => why,
            _ => panic!("it did not fail"),
        }
    }

    #[test]
    fn a_line_that_comes_in_pieces_is_waited_for_by_whoever_waits() {
        let (mut gateway, answer) = answer(Patience::Told(Duration::from_millis(1)));
        let writes = std::thread::spawn(move || {
            for piece in ["{\"item\":", "1}\n{\"do", "ne\":2}", "\n"] {
                gateway.write_all(piece.as_bytes()).unwrap();
                std::thread::yield_now();
            }
        });
        let mut items = Vec::new();
        let done = answer.items(|item| {
            items.push(item.to_owned());
            Ok(())
        });
        writes.join().unwrap();
        assert_eq!((items, done.ok().unwrap()), (vec!["1".to_owned()], 2.into()));
    }

    #[test]
    fn who_says_nothing_or_half_of_it_is_told_of() {
        let (_silent, waiting) = answer(Patience::Until(Duration::from_millis(1)));
        assert!(why(waiting.items(|_| Ok(()))).contains("own.sock has been silent for"));
        let (mut gateway, cut) = answer(Patience::Endless);
        gateway.write_all(b"{\"done\":2}").unwrap();
        drop(gateway);
        assert!(why(cut.items(|_| Ok(()))).contains("own.sock ended the answer before it was whole"));
    }
}
