//! The mail server of a demo: takes every mail of its own service, on loopback, and shows it in the demo's inbox. An aid for
//! development: nothing that it takes goes anywhere, and whoever is not on this machine does not reach it.

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{
    demo::letter,
    service::{Service, simulation::inbox::Letter},
};

/// Connections at once: more than the service keeps.
const MOST_CONNECTIONS: usize = 16;
/// Longest line of a command, in bytes, as SMTP has it.
const MAX_LINE_BYTES: u64 = 1_024;
/// Largest mail, in bytes.
const MAX_MAIL_BYTES: u64 = 1024 * 1024;
/// Mailboxes of one mail.
const MOST_TO: usize = 100;
/// A connection that says nothing for so long is closed: the service opens another.
const IDLE: Duration = Duration::from_secs(300);

/// The server, before it serves.
#[derive(Debug)]
pub struct Inbox {
    listener: TcpListener,
}

/// What is said of a command, or what becomes of the connection.
enum Reply {
    Say(&'static str),
    Data,
    Leave,
}

impl Inbox {
    /// Takes a port of loopback.
    ///
    /// # Errors
    /// When there is none.
    pub fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// # Errors
    /// When the system does not say.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Takes mails for as long as it is polled.
    ///
    /// # Errors
    /// When the port can't be listened on.
    pub async fn serve(self, service: Arc<Service>) -> io::Result<std::convert::Infallible> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let mut open = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            while open.len() >= MOST_CONNECTIONS {
                open.join_next().await;
            }
            while open.try_join_next().is_some() {}
            let service = service.clone();
            open.spawn(async move {
                // Whoever is cut off comes again.
                let _ = converse(stream, &service).await;
            });
        }
    }
}

async fn converse(stream: TcpStream, service: &Service) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    write.write_all(b"220 highwater demo: what comes here stays here\r\n").await?;
    let mut to = Vec::new();
    while let Some(line) = timeout(IDLE, line(&mut read)).await?? {
        match command(&line, &mut to) {
            Reply::Say(words) => write.write_all(format!("{words}\r\n").as_bytes()).await?,
            Reply::Leave => return write.write_all(b"221 bye\r\n").await,
            Reply::Data => {
                write.write_all(b"354 end with a line of one dot\r\n").await?;
                let Some(source) = timeout(IDLE, body(&mut read)).await?? else {
                    return write.write_all(b"552 it is larger than 1 MiB\r\n").await;
                };
                let at = service.clock.now().wall;
                let id = service.fleet.inbox.keep(Letter { at, to: std::mem::take(&mut to), ..letter::read(source) });
                write.write_all(format!("250 kept as {id}\r\n").as_bytes()).await?;
            }
        }
    }
    Ok(())
}

fn command(line: &str, to: &mut Vec<String>) -> Reply {
    let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
    match &*verb {
        "EHLO" => Reply::Say("250-highwater demo\r\n250 SIZE 1048576"),
        "HELO" | "NOOP" => Reply::Say("250 ok"),
        "MAIL" | "RSET" => {
            to.clear();
            Reply::Say("250 ok")
        }
        "RCPT" if to.len() >= MOST_TO => Reply::Say("452 too many recipients"),
        "RCPT" => match line.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
            Some((mailbox, _)) => {
                to.push(mailbox.to_owned());
                Reply::Say("250 ok")
            }
            None => Reply::Say("501 no mailbox"),
        },
        "DATA" if to.is_empty() => Reply::Say("503 to whom?"),
        "DATA" => Reply::Data,
        "QUIT" => Reply::Leave,
        _ => Reply::Say("502 not known here"),
    }
}

/// A line without its end; `None` at the end, or when it is too long.
async fn line(read: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    read.take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes).await?;
    Ok(bytes.ends_with(b"\n").then(|| String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// A mail, up to its dot; `None` when it is too large, or breaks off.
async fn body(read: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut read = read.take(MAX_MAIL_BYTES);
    let mut mail = Vec::new();
    loop {
        let begin = mail.len();
        if read.read_until(b'\n', &mut mail).await? == 0 || !mail.ends_with(b"\n") {
            return Ok(None);
        }
        match &mail[begin..] {
            b".\r\n" | b".\n" => {
                mail.truncate(begin);
                return Ok(Some(String::from_utf8_lossy(&mail).into_owned()));
            }
            [b'.', ..] => {
                mail.remove(begin);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_answered_as_smtp_has_them() {
        let mut to = Vec::new();
        let mut said = |line: &str| match command(line, &mut to) {
            Reply::Say(words) => words[..3].to_owned(),
            Reply::Data => "354".to_owned(),
            Reply::Leave => "221".to_owned(),
        };
        let lines =
            ["DATA", "ehlo x", "MAIL FROM:<a@b>", "RCPT TO:nobody", "RCPT TO:<c@d>", "data", "RSET", "DATA", "VRFY"];
        assert_eq!(lines.map(&mut said), ["503", "250", "250", "501", "250", "354", "250", "503", "502"]);
    }

    #[tokio::test]
    async fn a_dot_ends_a_mail_and_two_do_not() {
        let mut read: &[u8] = b"one\r\n..two\r\n.\r\nQUIT\r\n";
        assert_eq!(body(&mut read).await.unwrap().as_deref(), Some("one\r\n.two\r\n"));
        assert_eq!(line(&mut read).await.unwrap().as_deref(), Some("QUIT"));
        assert_eq!(line(&mut read).await.unwrap(), None);
        let large = vec![b'x'; MAX_MAIL_BYTES as usize + 9];
        assert_eq!(body(&mut &large[..]).await.unwrap(), None);
    }
}
