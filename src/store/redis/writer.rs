//! The one writer of a store: its lease, its fence and the number of its steps.

use std::{fs, process, thread, time::Duration};

use redis::Value;

use super::{
    FORMAT,
    link::Link,
    mirror::Mirror,
    names::Names,
    scripts::{CLOSE, OPEN, Step},
};
use crate::store::{Result, StoreError};

/// How long a writer may write without a sign of life. It gives one each second; a service that starts after one that
/// died waits for it to end.
const LEASE_MS: u64 = 3_000;
/// How often a service that starts looks whether the lease of another has ended.
const LOOK: Duration = Duration::from_millis(100);
/// Looks after which a lease that has not ended never will: three times its length.
const MOST_LOOKS: u32 = 90;

/// Who may write.
#[derive(Debug)]
pub struct Writer {
    /// Of the store: a random one, made with it.
    id: String,
    /// Of this process, in words, and random.
    holder: String,
    pub fence: u64,
    /// The format that it has.
    pub format: u64,
    /// What else is there is not the store's, and is to go.
    pub is_to_be_cleared: bool,
    step: u64,
    /// The last step that was acknowledged.
    acknowledged: u64,
    /// Replicas that each step waits for, 0 or 1, as Redis is set.
    pub replicas: u32,
    /// Whether replicas had the last step in time.
    pub replicated: bool,
    /// Whether a store that was lost is being written again.
    pub restoring: bool,
    pub mirror: Mirror,
}

/// What opening came to.
enum Opened {
    Yes {
        id: String,
        fence: u64,
        format: u64,
        is_to_be_cleared: bool,
    },
    /// Another holds it, until this moment of its clock.
    Held {
        by: String,
        until: String,
    },
}

impl Writer {
    /// Becomes the writer of a store, and makes it where there is none.
    pub fn open(link: &Link, names: &Names) -> Result<Self> {
        let holder = format!("process {} on {}/{:016x}", process::id(), host(), rand::random::<u64>());
        let (mut held_until, mut looks) = (None, 0);
        loop {
            match open(link, names, &holder, "", 0)? {
                Opened::Yes { id, fence, format, is_to_be_cleared } => {
                    let mirror = Mirror::default();
                    let (step, acknowledged, replicas) = (0, 0, 0);
                    let (replicated, restoring) = (true, false);
                    return Ok(Self {
                        id,
                        holder,
                        fence,
                        format,
                        is_to_be_cleared,
                        step,
                        acknowledged,
                        replicas,
                        replicated,
                        restoring,
                        mirror,
                    });
                }
                // A lease that is renewed is that of a service that lives.
                Opened::Held { by, until } => {
                    looks += 1;
                    if held_until.is_some_and(|before| before != until) || looks > MOST_LOOKS {
                        let by = by.split('/').next().unwrap_or_default();
                        let words = format!("{}: in use by another highwater ({by})", link.name());
                        return Err(StoreError::Unavailable(words));
                    }
                    held_until = Some(until);
                    thread::sleep(LOOK);
                }
            }
        }
    }

    /// Takes a step on what is across projects; `keys` come after the one that holds who may write.
    pub fn take(
        &mut self,
        link: &Link,
        names: &Names,
        step: &Step,
        keys: impl IntoIterator<Item = String>,
        arguments: Arguments,
    ) -> Result<Value> {
        self.step += 1;
        let keys: Vec<String> = std::iter::once(names.meta()).chain(keys).collect();
        let mut all = Arguments::default();
        all.text(&self.id).number(self.fence).number(self.acknowledged).number(self.step).number(LEASE_MS);
        all.0.extend(arguments.0);
        let (answer, have) = link.run(step, &keys, &all.0, self.replicas)?;
        self.acknowledged = self.step;
        self.replicated = have >= self.replicas;
        Ok(answer)
    }

    /// The id of the store.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// This process, in words that no other has.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Takes a fence above another one.
    pub fn rise(&mut self, link: &Link, names: &Names, above: u64) -> Result<()> {
        self.fence = self.fence.max(above);
        self.renew(link, names)
    }

    /// The number of the last step.
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// Becomes the writer again of a store that was lost, as what it was.
    pub fn reopen(&mut self, link: &Link, names: &Names) -> Result<()> {
        self.renew(link, names)?;
        self.acknowledged = 0;
        Ok(())
    }

    /// Takes the next fence, so that no step is taken any more that is still on its way.
    pub fn renew(&mut self, link: &Link, names: &Names) -> Result<()> {
        match open(link, names, &self.holder, &self.id, self.fence)? {
            Opened::Yes { fence, .. } => {
                self.fence = fence;
                Ok(())
            }
            Opened::Held { .. } => Err(taken(link)),
        }
    }

    /// The last step of this writer that a store has, by its id, fence and step; `None` when it is of before, or empty.
    ///
    /// # Errors
    /// When another writes it: then it is not this one's to write again.
    pub fn reached(&self, link: &Link, meta: &[Option<Vec<u8>>]) -> Result<Option<u64>> {
        let number = |at: usize| -> Option<u64> { std::str::from_utf8(meta.get(at)?.as_deref()?).ok()?.parse().ok() };
        let (id, fence) = (meta.first().and_then(Option::as_deref), number(1).unwrap_or_default());
        let is_another = id.is_some_and(|id| id != self.id.as_bytes());
        // A fence of its own may be newer than it knows: the answer was lost.
        let is_own = meta.get(4).and_then(Option::as_deref) == Some(self.holder.as_bytes());
        if is_another || fence > self.fence && !is_own {
            return Err(taken(link));
        }
        Ok(number(2).filter(|_| id.is_some() && fence >= self.fence))
    }

    /// Whether a store that reached this step has all that it acknowledged.
    pub const fn has_all(&self, reached: u64) -> bool {
        reached >= self.acknowledged
    }

    /// Lets go of the lease. That it can't be reached changes nothing: the lease ends by itself.
    pub fn close(&self, link: &Link, names: &Names) {
        let mut arguments = Arguments::default();
        arguments.number(self.fence);
        if let Err(error) = link.run(&CLOSE, &[names.meta()], &arguments.0, 0) {
            tracing::debug!(%error, "the lease of the store could not be given back");
        }
    }
}

fn open(link: &Link, names: &Names, holder: &str, lost: &str, fence: u64) -> Result<Opened> {
    let mut arguments = Arguments::default();
    arguments.text(&format!("{:032x}", rand::random::<u128>())).text(holder).number(LEASE_MS).number(FORMAT);
    arguments.text(lost).number(fence);
    let (answer, _) = link.run(&OPEN, &names.with_meta(), &arguments.0, 0)?;
    let wrong = |_| StoreError::Damaged(format!("{}: it does not say who writes it", link.name()));
    let (first, second, is_open, format, clear): (String, String, u8, u64, u8) =
        redis::from_redis_value(answer).map_err(wrong)?;
    Ok(match is_open {
        1 => {
            let fence = second.parse().map_err(|_| wrong(parse_error()))?;
            Opened::Yes { id: first, fence, format, is_to_be_cleared: clear == 1 }
        }
        _ => Opened::Held { by: first, until: second },
    })
}

fn taken(link: &Link) -> StoreError {
    let words = format!("{}: another highwater writes it now; restart this one to use it again", link.name());
    StoreError::Unavailable(words)
}

fn parse_error() -> redis::ParsingError {
    "no number".into()
}

/// The name of this machine, for people.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(64).collect();
    if name.is_empty() { "an unknown host".to_owned() } else { name.replace('/', "-") }
}

/// What a script is given, in order.
#[derive(Debug, Default)]
pub struct Arguments(pub Vec<Vec<u8>>);

impl Arguments {
    pub fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.0.push(number.into().to_string().into_bytes());
        self
    }

    pub fn count(&mut self, count: usize) -> &mut Self {
        self.number(count as u64)
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub fn bytes(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.0.push(bytes.into());
        self
    }
}
