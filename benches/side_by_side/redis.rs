//! The same work in Redis, as teams do it: a Lua function that sets the session with an expiry, moves its level and raises
//! its peak, and one that undoes it.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use crate::{
    IN_FLIGHT, PLAIN_EVENTS,
    fleet::{Fleet, Session, steps},
};

/// Slots of a semaphore: none is ever refused, so that what is compared is a grant.
const SLOTS: &str = "1000";
/// How long a slot is held at the most, in seconds: a lease, as in ours.
const HELD_FOR: u64 = 300;

/// Keys are the session, the hash of levels and that of peaks; the argument is the meter. A batch has the keys of the two
/// hashes, and three arguments an event. A semaphore is a sorted set of its holders by when their leases end.
const FUNCTIONS: &str = "#!lua name=highwater_bench
local function connect(keys, args)
  if not redis.call('SET', keys[1], args[1], 'NX', 'EX', 3600) then return 0 end
  local level = redis.call('HINCRBY', keys[2], args[1], 1)
  local peak = redis.call('HGET', keys[3], args[1])
  if not peak or level > tonumber(peak) then redis.call('HSET', keys[3], args[1], level) end
  return level
end
local function disconnect(keys, args)
  if redis.call('DEL', keys[1]) == 0 then return 0 end
  return redis.call('HINCRBY', keys[2], args[1], -1)
end
local function batch(keys, args)
  for at = 1, #args, 3 do
    local call = args[at] == '1' and connect or disconnect
    call({args[at + 1], keys[1], keys[2]}, {args[at + 2]})
  end
  return #args
end
local function acquire(keys, args)
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', args[2])
  if redis.call('ZCARD', keys[1]) >= tonumber(args[4]) then return 0 end
  return redis.call('ZADD', keys[1], args[3], args[1])
end
local function release(keys, args)
  return redis.call('ZREM', keys[1], args[1])
end
redis.register_function('acquire', acquire)
redis.register_function('release', release)
redis.register_function('connect', connect)
redis.register_function('disconnect', disconnect)
redis.register_function('batch', batch)
";

/// Sessions in a pipeline while the fleet is begun.
const FIRST_EVENTS: usize = 2_000;

/// How events come.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    /// Each waits for its answer.
    One,
    /// A call each, a hundred in a pipeline.
    Pipelined,
    /// A hundred in one call.
    Batch,
    /// A slot of a semaphore, then its release; each waits for its answer.
    Semaphore,
}

pub const WAYS: [(&str, Way); 3] = [
    ("Redis: function, one by one", Way::One),
    ("Redis: function, pipeline of 100", Way::Pipelined),
    ("Redis: one function call for 100", Way::Batch),
];

pub const SEMAPHORE: &str = "Redis: ZSET semaphore";

pub struct Connection {
    socket: TcpStream,
    fleet: Fleet,
    out: Vec<u8>,
    answers: Vec<u8>,
    /// Answers that were read before they were awaited.
    early: usize,
}

/// Connects so often, and begins so many sessions.
pub async fn connect(address: SocketAddr, count: usize, live: usize) -> Vec<Connection> {
    let mut connections = Vec::new();
    for nth in 0..count {
        let socket = TcpStream::connect(address).await.expect("redis-server takes connections");
        socket.set_nodelay(true).expect("the socket takes the option");
        let mut connection =
            Connection { socket, fleet: Fleet::new(nth), out: Vec::new(), answers: vec![0; 64 * 1_024], early: 0 };
        if nth == 0 {
            connection.command(&[b"FUNCTION", b"LOAD", FUNCTIONS.as_bytes()]);
            connection.send().await;
            let read = connection.socket.read(&mut connection.answers).await.expect("redis-server answers");
            assert_ne!(connection.answers[0], b'-', "{}", String::from_utf8_lossy(&connection.answers[..read]));
        }
        for _ in 0..live / count / FIRST_EVENTS {
            for _ in 0..FIRST_EVENTS {
                let session = connection.fleet.begin();
                connection.call(true, session);
            }
            connection.send().await;
            connection.answered(FIRST_EVENTS).await;
        }
        connections.push(connection);
    }
    connections
}

/// Works for so long on all connections; returns how many events there were.
pub async fn run(connections: &mut Vec<Connection>, way: Way, turn: Duration) -> u64 {
    let until = Instant::now() + turn;
    let tasks: Vec<_> = connections.drain(..).map(|connection| tokio::spawn(connection.work(way, until))).collect();
    let mut events = 0;
    for task in tasks {
        let (connection, done) = task.await.expect("no connection fails");
        events += done;
        connections.push(connection);
    }
    events
}

impl Connection {
    async fn work(mut self, way: Way, until: Instant) -> (Self, u64) {
        let (mut events, mut in_flight) = (0, 0);
        // An answer is awaited for each call.
        let (batch, calls, most) = match way {
            Way::One | Way::Semaphore => (1, 1, 1),
            Way::Pipelined => (PLAIN_EVENTS, PLAIN_EVENTS, IN_FLIGHT),
            Way::Batch => (PLAIN_EVENTS, 1, IN_FLIGHT),
        };
        let mut ends = false;
        loop {
            let goes_on = Instant::now() < until;
            while goes_on && in_flight < most {
                self.batch(way, batch, &mut ends);
                self.send().await;
                in_flight += 1;
            }
            if in_flight == 0 {
                return (self, events);
            }
            self.answered(calls).await;
            in_flight -= 1;
            events += batch as u64;
        }
    }

    fn batch(&mut self, way: Way, events: usize, ends: &mut bool) {
        if way == Way::One {
            let session = if *ends { self.fleet.end() } else { self.fleet.begin() };
            self.call(!*ends, session);
            *ends = !*ends;
            return;
        }
        if way == Way::Semaphore {
            let session = if *ends { self.fleet.end() } else { self.fleet.begin() };
            self.slot(!*ends, session);
            *ends = !*ends;
            return;
        }
        let steps: Vec<_> = steps(&mut self.fleet, events).collect();
        if way == Way::Pipelined {
            steps.iter().for_each(|(begins, session)| self.call(*begins, *session));
            return;
        }
        let meters: Vec<_> = steps.iter().map(|(_, session)| session.meter.to_string()).collect();
        let mut words: Vec<&[u8]> = vec![b"FCALL", b"batch", b"2", b"levels", b"peaks"];
        for ((begins, session), meter) in steps.iter().zip(&meters) {
            words.extend([if *begins { b"1" } else { b"0" }.as_slice(), &session.id, meter.as_bytes()]);
        }
        self.command(&words);
    }

    fn call(&mut self, begins: bool, session: Session) {
        let (name, meter) = (if begins { "connect" } else { "disconnect" }, session.meter.to_string());
        self.command(&[b"FCALL", name.as_bytes(), b"3", &session.id, b"levels", b"peaks", meter.as_bytes()]);
    }

    fn slot(&mut self, begins: bool, session: Session) {
        let semaphore = format!("semaphore-{}", session.meter);
        if !begins {
            return self.command(&[b"FCALL", b"release", b"1", semaphore.as_bytes(), &session.id]);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (now, until) = (now.to_string(), (now + HELD_FOR).to_string());
        let times = [now.as_bytes(), until.as_bytes()];
        let words: [&[u8]; 5] = [b"FCALL", b"acquire", b"1", semaphore.as_bytes(), &session.id];
        self.command(&[&words[..], &times, &[SLOTS.as_bytes()]].concat());
    }

    fn command(&mut self, words: &[&[u8]]) {
        self.out.extend(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.out.extend(format!("${}\r\n", word.len()).as_bytes());
            self.out.extend(*word);
            self.out.extend(b"\r\n");
        }
    }

    async fn send(&mut self) {
        self.socket.write_all(&self.out).await.expect("redis-server reads");
        self.out.clear();
    }

    /// Waits for this many answers: whole numbers, a line each.
    async fn answered(&mut self, answers: usize) {
        while self.early < answers {
            let read = self.socket.read(&mut self.answers).await.expect("redis-server answers");
            assert!(read > 0 && !self.answers[..read].contains(&b'-'), "redis-server refused");
            self.early += self.answers[..read].iter().filter(|byte| **byte == b'\n').count();
        }
        self.early -= answers;
    }
}
