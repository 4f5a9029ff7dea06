//! HTTP/2 as no client speaks it: frames made byte by byte, written as fast as the service takes them, and what it says
//! to that.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout_at},
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_HEADERS: u8 = 4;
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;
/// Of a GOAWAY that says: not so fast.
const ENHANCE_YOUR_CALM: u32 = 11;

/// The pause between two writes of an attacker: it takes the same cores as the service and the tenant, and what is to be
/// seen is what the service does, not who is given a core.
pub const PACE: Duration = Duration::from_millis(1);

/// What the service did about a flood, over all of its connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered {
    pub connections: u64,
    pub bytes: u64,
    /// Connections that it ended: in all, and saying that they were too much.
    pub closed: u64,
    pub calmed: u64,
    /// Calls that it reset.
    pub resets: u64,
    /// Calls that it answered, with a refusal or otherwise.
    pub answers: u64,
}

impl Answered {
    pub fn refused(&self) -> u64 {
        self.closed + self.resets + self.answers
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header as HPACK writes it when it saves nothing.
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        // A length of seven bits, and the rest seven bits at a time.
        let mut rest = text.len();
        if rest < 127 {
            bytes.push(rest as u8);
        } else {
            bytes.push(127);
            rest -= 127;
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The headers of a call.
pub fn call(method: &str) -> Vec<u8> {
    let path = format!("/highwater.v1.IngestService/{method}");
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", "highwater"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ];
    headers.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// The number of the `nth` stream of a client.
pub const fn stream(nth: u32) -> u32 {
    (2 * nth + 1) & 0x7fff_ffff
}

/// Opens connections, one after the other, and writes `begin` and then what `next` gives until the service ends them or
/// the time is over. What comes back is read, unless `deaf`.
pub async fn flood(
    address: SocketAddr,
    until: Instant,
    deaf: bool,
    begin: &[u8],
    mut next: impl FnMut(u32) -> Vec<u8>,
) -> Answered {
    let mut answered = Answered::default();
    while Instant::now() < until {
        let Ok(socket) = TcpStream::connect(address).await else { continue };
        answered.connections += 1;
        let (mut reading, mut writing) = socket.into_split();
        let mut heard = Answered::default();
        let read = async {
            if deaf {
                std::future::pending::<()>().await;
            }
            while let Some(()) = hear(&mut reading, &mut heard).await {}
        };
        let mut bytes = 0;
        let write = async {
            let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[]), begin].concat();
            if writing.write_all(&opening).await.is_err() {
                return;
            }
            for nth in 0.. {
                let more = next(nth);
                if more.is_empty() {
                    // Nothing more to say: how it ends is up to the service.
                    return std::future::pending().await;
                }
                if writing.write_all(&more).await.is_err() {
                    return;
                }
                sleep(PACE).await;
                bytes += more.len() as u64;
            }
        };
        let ended = timeout_at(until, async {
            tokio::select! {
                () = read => {}
                () = write => {}
            }
        });
        let was_closed = ended.await.is_ok();
        // What it said before it closed.
        if was_closed && !deaf {
            let _ = timeout_at(until, async { while hear(&mut reading, &mut heard).await.is_some() {} }).await;
        }
        answered.closed += u64::from(was_closed);
        answered.bytes += bytes;
        answered.calmed += heard.calmed;
        answered.resets += heard.resets;
        answered.answers += heard.answers;
    }
    answered
}

/// Reads a frame; `None` at the end.
async fn hear(reading: &mut tokio::net::tcp::OwnedReadHalf, heard: &mut Answered) -> Option<()> {
    let mut head = [0; FRAME_HEAD];
    reading.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    reading.read_exact(&mut payload).await.ok()?;
    match head[3] {
        HEADERS => heard.answers += 1,
        RST_STREAM => heard.resets += 1,
        GOAWAY if payload.len() >= 8 => {
            let code = u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]);
            heard.calmed += u64::from(code == ENHANCE_YOUR_CALM);
        }
        _ => {}
    }
    Some(())
}
