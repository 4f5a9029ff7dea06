//! `quotas --watch`: the table on the screen, redrawn in place whenever something changes. When the service goes away it
//! says so and comes back by itself; Ctrl-C ends it and leaves the screen as it was.

use std::{
    io::{self, Write, stdout},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep, sleep_until, timeout},
};
use tonic::{Code, Status, Streaming};

use crate::{
    cli::{
        connect::Server,
        error::CliError,
        moment, output,
        quotas::{
            QuotasArgs, json, render,
            view::{Link, View},
        },
        screen::{Line, Screen, Style},
    },
    client::backoff,
    proto::{GetStatusRequest, WatchQuotasRequest, WatchQuotasResponse},
};

/// How often the service's own state is asked for.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// How long the service may take to answer before it counts as away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait before the service is tried again: a person is looking.
const RETRY_CEILING: Duration = Duration::from_secs(2);

/// Where a watch is shown.
enum Shown {
    /// On the other screen of the terminal, which is left when this is dropped.
    Screen(Drawn),
    /// A line, or an object, a change.
    Lines { json: bool },
}

/// The other screen of a terminal.
struct Drawn {
    /// Where the same is shown in a browser.
    page: Line,
}

impl Drawn {
    fn begin(server: &str) -> io::Result<Self> {
        let mut out = stdout().lock();
        write!(out, "\x1b[?1049h\x1b[?25l\x1b[2J")?;
        out.flush()?;
        let page = format!("Open {}/ in a browser", server.trim_end_matches('/'));
        Ok(Self { page: Line::of(Style::Dim, page) })
    }

    /// Draws over what is there, line by line, so that nothing flickers; what has no room is counted.
    fn draw(&self, view: &View) -> io::Result<()> {
        let screen = Screen::of_stdout();
        let mut lines = vec![self.page.clone()];
        lines.extend(render::lines(view, screen.width, &moment::zone()));
        let room = screen.height.saturating_sub(1);
        if lines.len() > room {
            let more = lines.len() - room.saturating_sub(1);
            lines.truncate(room.saturating_sub(1));
            lines.push(Line::of(Style::Dim, format!("… {more} more lines; `--kind` shows some kinds only")));
        }
        let mut out = stdout().lock();
        write!(out, "\x1b[H")?;
        for line in lines {
            writeln!(out, "{}\x1b[K", line.cut(screen.width).render(screen.colors))?;
        }
        write!(out, "\x1b[J")?;
        out.flush()
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        // A terminal that is gone has no screen to give back.
        let mut out = stdout().lock();
        let _ = write!(out, "\x1b[?25h\x1b[?1049l").and_then(|()| out.flush());
    }
}

/// The signals that a watch heeds.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    resize: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            resize: signal(SignalKind::window_change())?,
        })
    }

    /// Waits until it is to end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Watches until it is interrupted. That the service is away when it begins is an error; later it is waited for.
pub async fn run(args: &QuotasArgs, server: &Server) -> Result<(), CliError> {
    let mut view = View::new(&args.project.project);
    let refused = |status: Status| match status.code() {
        Code::NotFound => super::never_seen(&args.project.project),
        _ => CliError::from_status(&status, &server.url),
    };
    let mut stream = open(args, server, &mut view).await.map_err(refused)?;
    let mut signals = Signals::new()?;
    let terminal = Screen::of_stdout().terminal && !args.json;
    let shown = if terminal { Shown::Screen(Drawn::begin(&server.url)?) } else { Shown::Lines { json: args.json } };
    loop {
        let Some(status) = follow(&mut stream, server, &mut view, &shown, &mut signals).await? else { return Ok(()) };
        if is_final(&status) {
            return Err(refused(status));
        }
        view.link = Link::Away { since: moment::now(), cause: format!("{:?}", status.code()).to_lowercase() };
        shown.away(&view)?;
        stream = tokio::select! {
            () = signals.end() => return Ok(()),
            stream = reopen(args, server, &mut view) => stream.map_err(refused)?,
        };
    }
}

/// Tries until the service is back.
async fn reopen(args: &QuotasArgs, server: &Server, view: &mut View) -> Result<Streaming<WatchQuotasResponse>, Status> {
    loop {
        sleep(backoff::jitter(RETRY_CEILING)).await;
        match open(args, server, view).await {
            Err(status) if !is_final(&status) => {}
            opened => return opened,
        }
    }
}

/// Whether asking again would be refused again.
fn is_final(status: &Status) -> bool {
    matches!(status.code(), Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated)
}

async fn open(args: &QuotasArgs, server: &Server, view: &mut View) -> Result<Streaming<WatchQuotasResponse>, Status> {
    let late = |_| Status::unavailable("it did not answer in time");
    view.status = Some(timeout(ANSWER_TIMEOUT, get_status(server)).await.map_err(late)??);
    let (project, kinds) = (args.project.project.clone(), args.kind_numbers());
    let mut request = WatchQuotasRequest { project, kinds, time_zone: super::zone_name() };
    let mut client = server.quotas();
    let mut watch = timeout(ANSWER_TIMEOUT, client.watch_quotas(request.clone())).await.map_err(late)?;
    if matches!(&watch, Err(status) if status.code() == Code::InvalidArgument) && !request.time_zone.is_empty() {
        // The service may know fewer time zones than this machine.
        request.time_zone.clear();
        watch = timeout(ANSWER_TIMEOUT, client.watch_quotas(request)).await.map_err(late)?;
    }
    Ok(watch?.into_inner())
}

async fn get_status(server: &Server) -> Result<crate::proto::GetStatusResponse, Status> {
    Ok(server.quotas().get_status(GetStatusRequest {}).await?.into_inner())
}

/// Shows what a stream brings until it ends, with why; `None` when the watch is to end.
async fn follow(
    stream: &mut Streaming<WatchQuotasResponse>,
    server: &Server,
    view: &mut View,
    shown: &Shown,
    signals: &mut Signals,
) -> Result<Option<Status>, CliError> {
    let mut first = true;
    let mut status_at = Instant::now() + STATUS_EVERY;
    loop {
        tokio::select! {
            message = stream.message() => match message {
                Ok(Some(message)) => {
                    if first {
                        view.clear();
                        view.link = Link::Up;
                    }
                    first = false;
                    shown.changed(view, message)?;
                }
                Ok(None) => return Ok(Some(Status::unavailable("the service ended the watch"))),
                Err(status) => return Ok(Some(status)),
            },
            () = sleep_until(status_at) => {
                // A service that does not answer shows by its stream too.
                if let Ok(Ok(status)) = timeout(ANSWER_TIMEOUT, get_status(server)).await {
                    view.status = Some(status);
                }
                status_at = Instant::now() + STATUS_EVERY;
                shown.redraw(view)?;
            }
            _ = signals.resize.recv() => shown.redraw(view)?,
            _ = signals.interrupt.recv() => return Ok(None),
            _ = signals.terminate.recv() => return Ok(None),
        }
    }
}

impl Shown {
    /// Takes a message into the view and shows what changed.
    fn changed(&self, view: &mut View, message: WatchQuotasResponse) -> Result<(), CliError> {
        view.verdict = message.verdict;
        let changed = view.take(message.quotas, message.as_of, message.settling);
        match self {
            Self::Screen(_) => self.redraw(view),
            Self::Lines { .. } if changed.is_empty() => Ok(()),
            Self::Lines { json: true } => output::print(&json::of(view, &changed.iter().collect::<Vec<_>>()), false),
            Self::Lines { json: false } => {
                let mut out = stdout().lock();
                for quota in &changed {
                    writeln!(out, "{}", render::change(quota, view, &moment::zone()))?;
                }
                Ok(out.flush()?)
            }
        }
    }

    fn redraw(&self, view: &View) -> Result<(), CliError> {
        match self {
            Self::Screen(drawn) => Ok(drawn.draw(view)?),
            Self::Lines { .. } => Ok(()),
        }
    }

    /// Says that the service is away: on the screen, or beside the lines on stderr.
    fn away(&self, view: &View) -> Result<(), CliError> {
        if let (Self::Lines { .. }, Link::Away { since, cause }) = (self, &view.link) {
            let since = moment::clock(*since, &moment::zone());
            eprintln!("highwater: {since} the service is away ({cause}); reconnecting");
        }
        self.redraw(view)
    }
}
