//! Load generator and echo backend, on one thread: commands come on standard input, and each is answered with a line when it is done.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Stdin, Write};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::backend::Served;
use crate::client::{Client, Desk, KEY, Outcome};
use crate::job::{Command, Dial, Job, What};
use crate::link::{Link, wait};
use crate::places::Places;

const COMMANDS: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);

/// What is read at once, at either end.
const BUFFER: usize = 256 << 10;

/// Serves until standard input ends. `tokens` is a file of them, one a line.
pub fn run(backend: SocketAddr, tokens: &str) {
    let poll = Poll::new().unwrap();
    let mut listener = TcpListener::bind(backend).unwrap();
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
    poll.registry().register(&mut SourceFd(&0), COMMANDS, Interest::READABLE).unwrap();
    let mut load = Load {
        poll,
        listener,
        tokens: std::fs::read_to_string(tokens).unwrap().lines().map(str::to_owned).collect(),
        served: Places::new(),
        clients: Places::new(),
        groups: HashMap::new(),
        opened: 0,
        job: Job::echo(crate::job::FIRST, 0, 1),
        buffer: vec![0; BUFFER],
        out: Vec::new(),
    };
    load.run();
}

struct Load {
    poll: Poll,
    listener: TcpListener,
    tokens: Vec<String>,
    served: Places<Served>,
    clients: Places<Client>,
    groups: HashMap<String, Vec<usize>>,
    /// Clients so far.
    opened: u32,
    /// What is under way, or was last.
    job: Job,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

impl Load {
    fn run(&mut self) {
        let mut events = Events::with_capacity(1024);
        let mut commands = BufReader::new(std::io::stdin());
        loop {
            wait(&mut self.poll, &mut events);
            for event in &events {
                match event.token() {
                    COMMANDS if !self.obey(&mut commands) => return,
                    COMMANDS => {}
                    LISTENER => self.accept(),
                    Token(even) if even % 2 == 0 => self.client(even / 2, event),
                    Token(odd) => self.serve(odd / 2, event),
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let registry = self.poll.registry();
            self.served.insert(|place| Link::new(stream, registry, Token(place * 2 + 1)).map(Served::new)).unwrap();
        }
    }

    fn serve(&mut self, place: usize, event: &Event) {
        let Some(served) = self.served.get(place) else { return };
        // A peer that resets a connection has its reasons: whoever is measured would miss an answer.
        if served.turn(event, &mut self.buffer, &mut self.out).unwrap_or(true) {
            self.served.remove(place);
        }
    }

    /// Begins what the next line says; the next one comes when it has been answered. False at the end.
    fn obey(&mut self, commands: &mut BufReader<Stdin>) -> bool {
        let mut line = String::new();
        if commands.read_line(&mut line).unwrap() == 0 {
            return false;
        }
        match serde_json::from_str(&line).unwrap() {
            Command::Open { group, dial, connections } => {
                self.job = Job::opening(What::Open { group, dial }, connections);
                self.dial();
            }
            Command::Churn { dial, connections } => {
                self.job = Job::opening(What::Churn { dial }, connections);
                self.dial();
            }
            Command::Echo { group, connections, messages, depth, text } => {
                self.job = Job::echo(&text, connections, depth);
                let mut desk = Desk { buffer: &mut self.buffer, out: &mut self.out, message: &mut self.job.message, depth };
                for place in &self.groups[&group][..connections] {
                    self.clients.get(*place).unwrap().ask((messages / connections) as u32, &mut desk).unwrap();
                }
            }
            Command::End { group } => {
                self.groups.remove(&group).into_iter().flatten().for_each(|place| self.clients.remove(place));
                answer("{}");
            }
        }
        true
    }

    /// Opens as many connections as may be under way.
    fn dial(&mut self) {
        while self.job.begins_another() {
            let (What::Open { dial, .. } | What::Churn { dial }) = &self.job.what else { return };
            let token = dial.has_tokens.then(|| &*self.tokens[self.opened as usize % self.tokens.len()]);
            let (number, request, registry) = (self.opened, request(dial, token), self.poll.registry());
            self.opened += 1;
            let dialled = self.clients.insert(|place| {
                let link = Link::new(TcpStream::connect(dial.address)?, registry, Token(place * 2))?;
                Client::new(link, number, request.as_bytes())
            });
            let place = dialled.unwrap();
            if let What::Open { group, .. } = &self.job.what {
                self.groups.entry(group.clone()).or_default().push(place);
            }
        }
    }

    fn client(&mut self, place: usize, event: &Event) {
        let Some(client) = self.clients.get(place) else { return };
        let depth = self.job.depth;
        let mut desk = Desk { buffer: &mut self.buffer, out: &mut self.out, message: &mut self.job.message, depth };
        let outcome = client.turn(event, &mut desk).unwrap_or_else(|error| panic!("a connection failed: {error}"));
        match (&self.job.what, outcome) {
            (_, Outcome::Going) => return,
            (What::Churn { .. }, Outcome::Answered) => return client.close().unwrap(),
            (What::Churn { .. }, Outcome::Closed) => self.clients.remove(place),
            (_, Outcome::Closed) => panic!("a connection was closed"),
            (_, Outcome::Answered) => {}
        }
        if let Some(line) = self.job.has_done() {
            answer(&line);
        }
        self.dial();
    }
}

fn answer(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn request(dial: &Dial, token: Option<&str>) -> String {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "GET {} HTTP/1.1\r\nHost: bench.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {KEY}\r\n{authorization}\r\n",
        dial.path
    )
}
