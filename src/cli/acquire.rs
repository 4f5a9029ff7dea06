//! `highwater acquire`: asks for a slot as a worker would, says what came of it, and holds it for as long as it is told to.

use std::{
    io::{Write, stdout},
    time::Duration,
};

use clap::Args;
use serde::Serialize;
use tokio::time::{Instant, interval, sleep_until};

use crate::{
    cli::{
        connect::{ProjectArgs, Server},
        error::CliError,
        output,
        target::Named,
    },
    model::{Kind, Meter as ModelMeter, Unit},
    proto::{
        AcquireRequest, AcquireResponse, GrantReason, Granted, HeartbeatRequest, Labels, Meter, Priority, Refused,
        ReleaseRequest, ReleaseResult, acquire_response::Result as Answer, target,
    },
};

/// The lease of the slot, and how often it is renewed.
const LEASE: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(3);

#[derive(Args, Debug)]
pub struct AcquireArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// What is asked for: llm, stt, tts, realtime, agent, participant, sip, ingress or egress
    #[arg(long, value_name = "KIND", required_unless_present = "chain", conflicts_with = "chain")]
    kind: Option<Kind>,
    /// A chain, of which the service chooses the model
    #[arg(long, value_name = "NAME", conflicts_with_all = ["models", "account", "unit"])]
    chain: Option<String>,
    /// One model, as provider/model; several in the order of preference
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// Whose quota it is: livekit (when nothing is said), direct, or a name of your own
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    account: String,
    /// What the provider counts, when it is not what the catalogue says: stream, connection or generation
    #[arg(long, value_name = "UNIT")]
    unit: Option<Unit>,
    /// How urgent it is: priority, standard or low
    #[arg(long, value_name = "WORD", default_value = "standard", value_parser = priority)]
    priority: Priority,
    /// How long to wait for a slot, such as 5s, up to 60s
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    wait: Duration,
    /// Hold the slot for so long, such as 10m; without a value until Ctrl-C. It is given back at once otherwise
    #[arg(long, value_name = "DURATION", num_args = 0..=1, value_parser = duration)]
    hold: Option<Option<Duration>>,
    /// Id of the job or call that it is for
    #[arg(long, value_name = "JOB", default_value = "", hide_default_value = true)]
    job: String,
    /// Print one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct AnswerOut<'a> {
    project: &'a str,
    granted: bool,
    model: Option<String>,
    diverted: bool,
    /// Why it is this model of its chain.
    reason: Option<&'static str>,
    message: Option<&'a str>,
    expected_wait_seconds: Option<f64>,
}

fn priority(word: &str) -> Result<Priority, String> {
    match word {
        "priority" => Ok(Priority::Priority),
        "standard" => Ok(Priority::Standard),
        "low" => Ok(Priority::Low),
        _ => Err("one of priority, standard and low is needed".to_owned()),
    }
}

pub fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    let spelled = || text.parse::<jiff::SignedDuration>().ok().and_then(|duration| duration.try_into().ok());
    seconds.or_else(spelled).ok_or_else(|| "a duration such as 10s, 500ms or 15min is needed".to_owned())
}

fn say(line: &str) -> Result<(), CliError> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Does what was asked.
///
/// # Errors
/// When the service can't be reached, or there is no slot.
pub async fn run(mut args: AcquireArgs) -> Result<(), CliError> {
    let server = args.project.connect().await?;
    let request = request(&args)?;
    let worker = Worker { server: &server, request: &request };
    let answer = worker.acquire(args.wait).await?;
    match answer.result {
        Some(Answer::Granted(granted)) => {
            say_granted(&args, &granted)?;
            if let Some(hold) = args.hold {
                worker.hold(hold).await?;
            }
            worker.release().await
        }
        Some(Answer::Refused(refused)) => say_refused(&args, &refused),
        None => Err(CliError::failed("the service is newer than this command, and answers what it does not know")),
    }
}

fn meters(args: &AcquireArgs) -> Result<Vec<Meter>, CliError> {
    let Some(kind) = args.kind else { return Ok(Vec::new()) };
    let named: Vec<String> = if args.models.is_empty() { vec![String::new()] } else { args.models.clone() };
    let mut meters = Vec::with_capacity(named.len());
    for model in named {
        ModelMeter::new(kind, &model, &args.account, args.unit)
            .map_err(|error| CliError::Usage(format!("--{}: {}", error.field, error.problem)))?;
        let unit = args.unit.map_or(0, |unit| unit as i32);
        meters.push(Meter { kind: kind as i32, model, account: args.account.clone(), unit });
    }
    Ok(meters)
}

fn request(args: &AcquireArgs) -> Result<AcquireRequest, CliError> {
    let meters = meters(args)?;
    Ok(AcquireRequest {
        project: args.project.project.clone(),
        worker_id: "highwater acquire".to_owned(),
        incarnation: rand::random::<[u8; 16]>().to_vec(),
        lease: Some(wire(LEASE)),
        session_id: rand::random::<[u8; 16]>().to_vec(),
        meters,
        labels: (!args.job.is_empty()).then(|| Labels { job: args.job.clone(), room: String::new() }),
        priority: args.priority as i32,
        wait: (!args.wait.is_zero()).then(|| wire(args.wait)),
        chain: args.chain.clone().unwrap_or_default(),
        failed: Vec::new(),
    })
}

fn wire(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// One that holds the slot.
struct Worker<'a> {
    server: &'a Server,
    request: &'a AcquireRequest,
}

impl Worker<'_> {
    async fn acquire(&self, wait: Duration) -> Result<AcquireResponse, CliError> {
        let mut ingest = self.server.ingest();
        self.server.answer_after(wait, ingest.acquire(self.request.clone())).await
    }

    /// Keeps the lease until its time is over, or the command is interrupted.
    async fn hold(&self, hold: Option<Duration>) -> Result<(), CliError> {
        let until = hold.map(|hold| Instant::now() + hold);
        let mut beats = interval(RENEW_EVERY);
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return Ok(()),
                () = async { sleep_until(until.unwrap_or_else(Instant::now)).await }, if until.is_some() => return Ok(()),
                _ = beats.tick() => {
                    let (project, incarnation) = (self.request.project.clone(), self.request.incarnation.clone());
                    let beat = HeartbeatRequest { project, incarnation, lease: None };
                    self.server.answer(self.server.ingest().heartbeat(beat)).await?;
                }
            }
        }
    }

    async fn release(&self) -> Result<(), CliError> {
        let request = ReleaseRequest {
            project: self.request.project.clone(),
            worker_id: self.request.worker_id.clone(),
            incarnation: self.request.incarnation.clone(),
            session_id: self.request.session_id.clone(),
            outcome: 0,
            lease: None,
        };
        let answer = self.server.answer(self.server.ingest().release(request)).await?;
        match answer.result() {
            ReleaseResult::Free => Ok(()),
            _ => Err(CliError::failed("the slot was held no more when it was given back")),
        }
    }
}

fn spelled(meter: Option<&Meter>) -> String {
    let target = meter.map(|meter| crate::proto::Target { target: Some(target::Target::Meter(meter.clone())) });
    Named::of(target.as_ref()).spelled()
}

/// Why it is this model of its chain, in words.
const fn reason(reason: GrantReason) -> Option<&'static str> {
    match reason {
        GrantReason::Unspecified => None,
        GrantReason::Leads => Some("leads the chain"),
        GrantReason::Stays => Some("a session of the job is there"),
        GrantReason::Share => Some("takes a share of the chain"),
        GrantReason::Overflow => Some("those before it have no room"),
        GrantReason::Probe => Some("was down, and is tried"),
        GrantReason::LastResort => Some("last resort"),
    }
}

fn say_granted(args: &AcquireArgs, granted: &Granted) -> Result<(), CliError> {
    if args.json {
        let model = granted.meter.as_ref().map(|meter| meter.model.clone());
        let project = &args.project.project;
        let (diverted, message) = (granted.diverted, granted.passed_over.first().map(|first| first.message.as_str()));
        let out = AnswerOut {
            project,
            granted: true,
            model,
            diverted,
            reason: reason(granted.reason()),
            message,
            expected_wait_seconds: None,
        };
        return output::print(&out, true);
    }
    let why = reason(granted.reason()).map(|why| format!(" ({why})")).unwrap_or_default();
    say(&format!("granted: {}{why}", spelled(granted.meter.as_ref())))?;
    for passed in &granted.passed_over {
        say(&format!("  not {}: {}", spelled(passed.meter.as_ref()), passed.message))?;
    }
    if args.hold.is_some() {
        say("held: Ctrl-C gives it back")?;
    }
    Ok(())
}

fn say_refused(args: &AcquireArgs, refused: &Refused) -> Result<(), CliError> {
    let expected = output::seconds(refused.expected_wait.as_ref());
    if args.json {
        let out = AnswerOut {
            project: &args.project.project,
            granted: false,
            model: None,
            diverted: false,
            reason: None,
            message: Some(&refused.message),
            expected_wait_seconds: expected,
        };
        output::print(&out, true)?;
    } else {
        for refusal in &refused.refusals {
            say(&format!("no {}: {}", spelled(refusal.meter.as_ref()), refusal.message))?;
        }
    }
    let soon = expected.map(|seconds| format!("; the next is expected in {seconds:.0} s")).unwrap_or_default();
    Err(CliError::failed(format!("refused: {}{soon}", refused.message)))
}
