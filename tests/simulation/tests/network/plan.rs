//! What one seed stands for: a server, its clients, and what the network does to them.

use std::time::Duration;

use tower_linger_simulation::Choices;

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) server: Server,
    pub(crate) is_tls: bool,
    pub(crate) clients: Vec<Client>,
    pub(crate) latency: [Duration; 2],
    /// How many segments a connection holds in each direction.
    pub(crate) segments: usize,
    /// How often a message breaks its link, and mends one that is broken.
    pub(crate) loss: Option<(f64, f64)>,
    pub(crate) events: Vec<(Duration, Event)>,
    /// When the server is asked to end, unless all clients are done before, and how long it then has.
    pub(crate) shutdown: (Option<Duration>, Duration),
    /// None, but where it is shown that the checks notice one.
    pub(crate) fault: Fault,
}

/// What is done wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Nothing is drained.
    NoDrain,
    /// Reports are lost.
    LostReport,
    /// The deadline of the shutdown comes later than it should.
    LateEnd,
}

/// How connections are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// By hyper alone.
    Bare,
    Layered,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) begins: Duration,
    pub(crate) mood: Mood,
    /// Of its upload: how many pieces, and how long after each other.
    pub(crate) pieces: u32,
    pub(crate) pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// One request, and then its connection's end.
    Asks,
    /// Some requests on one connection.
    KeepsAlive,
    /// Uploads what the server refuses at once, and reads when all is written.
    UploadsFirst,
    /// The same, but it reads meanwhile, and stops when it is refused.
    UploadsAndReads,
    /// Ends its writes after its request.
    HalfCloses,
    /// HTTP/2, by hyper's client: a refused upload.
    Http2,
    /// Its response fails half-way.
    IsFailed,
    /// Goes away in the middle of its upload.
    Aborts,
    /// Asks for much, and reads nothing.
    IsSilent,
    /// Uploads a little at a time, for longer than anyone waits.
    Trickles,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Hold(usize),
    Release(usize),
    Partition(usize),
    Repair(usize),
    CrashServer,
}

const HONEST: [Mood; 6] =
    [Mood::UploadsFirst, Mood::Asks, Mood::KeepsAlive, Mood::UploadsAndReads, Mood::HalfCloses, Mood::Http2];

const OTHERS: [Mood; 4] = [Mood::IsFailed, Mood::Aborts, Mood::IsSilent, Mood::Trickles];

impl Mood {
    /// Whether it waits for a whole response, and does all that is needed for it.
    pub(crate) fn is_honest(self) -> bool {
        HONEST.contains(&self)
    }
}

/// Longer than this, nobody is held up by a link that heals.
pub(crate) const LONGEST_HOLD: Duration = Duration::from_millis(300);

impl Plan {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let choices = &mut Choices::of_seed(seed);
        let clients: Vec<_> = (0..choices.between(1, 3)).map(|_| Client::draw(choices)).collect();
        let least = choices.one_of(&[0, 5, 20]);
        let most = least + choices.one_of(&[10, 0, 40, 100]);
        let mut plan = Self {
            server: Server::Layered,
            is_tls: choices.percent(40),
            clients,
            latency: [millis(least), millis(most)],
            segments: choices.one_of(&[64, 16, 8]),
            loss: None,
            events: Vec::new(),
            shutdown: (None, millis(choices.one_of(&[1_000, 0, 200]))),
            fault: Fault::None,
        };
        for _ in 0..choices.one_of(&[0, 1, 2]) {
            plan.draw_event(choices);
        }
        match choices.below(10) {
            0..=5 => {}
            6 | 7 => plan.loss = Some((choices.one_of(&[0.002, 0.02, 0.1]), choices.one_of(&[0.5, 0.05]))),
            8 => plan.shutdown.0 = Some(millis(choices.below(600))),
            _ => plan.events.push((millis(choices.below(600)), Event::CrashServer)),
        }
        plan.events.sort_by_key(|(at, _)| *at);
        plan
    }

    fn draw_event(&mut self, choices: &mut Choices) {
        let count = u32::try_from(self.clients.len()).unwrap_or(1);
        let (client, at) = (choices.below(count) as usize, millis(choices.below(500)));
        let [fault, cure] = if choices.percent(60) {
            [Event::Hold(client), Event::Release(client)]
        } else {
            [Event::Partition(client), Event::Repair(client)]
        };
        let lasts = choices.one_of(&[50, 200, 300, 5_000]);
        self.events.push((at, fault));
        self.events.push((at + millis(lasts), cure));
    }

    /// Whether the network and the server let this client have its whole response: everything that is sent
    /// arrives, though late.
    pub(crate) fn lets(&self, client: usize) -> bool {
        let is_healed = |(place, (at, fault)): (usize, &(Duration, Event))| match fault {
            Event::CrashServer => false,
            Event::Partition(other) => *other != client,
            // By their order, because a link may be released and held again at the same time.
            Event::Hold(other) => {
                let cure = self.events[place..].iter().find(|(_, event)| *event == Event::Release(client));
                *other != client || cure.is_some_and(|(cured, _)| cured.saturating_sub(*at) <= LONGEST_HOLD)
            }
            Event::Release(_) | Event::Repair(_) => true,
        };
        let is_whole = self.loss.is_none() && self.shutdown.0.is_none();
        is_whole && self.events.iter().enumerate().all(is_healed)
    }

    pub(crate) fn has_crash(&self) -> bool {
        self.events.iter().any(|(_, event)| *event == Event::CrashServer)
    }
}

impl Client {
    fn draw(choices: &mut Choices) -> Self {
        let mood = if choices.percent(30) { choices.one_of(&OTHERS) } else { choices.one_of(&HONEST) };
        Self {
            begins: millis(choices.one_of(&[0, 10, 100])),
            mood,
            pieces: choices.one_of(&[10, 1, 30]),
            pause: millis(choices.one_of(&[5, 0, 20])),
        }
    }
}

pub(crate) fn millis(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}
