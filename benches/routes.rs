//! How long it takes until the last of 2,000 workers has heard of a new version of routes, each on a connection of its own;
//! and what a call by chain costs in process beside one by model.

use std::{hint::black_box, net::TcpListener, sync::Arc, time::Duration};

use highwater::{
    app::App,
    client,
    config::Config,
    live::{Ask, admit::Holder},
    model::{
        Catalogue, Chain, Incarnation, Kind, Meter, Now, Outcome, Priority, Project, SessionId, Time,
        chain::{Draft, DraftModel},
    },
    proto::{
        AttachRequest, AttachResponse, Hello, attach_request::Message as Say, attach_response::Message as Heard,
        ingest_service_client::IngestServiceClient,
    },
    route::{Action, ByHand},
    service::{Actor, Service, routing::pick::Asker},
    store::EmbeddedStore,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

const WORKERS: usize = 2_000;
const ROUNDS: usize = 9;
const CALLS: u32 = 200_000;
const MODELS: [&str; 3] = ["elevenlabs/eleven_turbo_v2_5", "cartesia/sonic-3", "rime/coda"];

/// One that listens, and what keeps its stream open.
struct Worker {
    heard: Streaming<AttachResponse>,
    _say: mpsc::Sender<AttachRequest>,
}

fn project() -> Project {
    Project::new("").expect("it is the default")
}

fn chain() -> Chain {
    let models = MODELS.map(|model| DraftModel { model, ..DraftModel::default() });
    let draft = Draft { name: "agents", models: &models, ..Draft::default() };
    Chain::new(&project(), Kind::Tts, &draft, &Catalogue::builtin()).expect("it is a chain")
}

fn meter(model: &str) -> Meter {
    Meter::new(Kind::Tts, model, "", None).expect("it is a model")
}

async fn attach(url: &str, nth: usize) -> Worker {
    let (say, said) = mpsc::channel(1);
    let channel = client::channel(url).expect("it is an address");
    let hello = Hello {
        protocol_version: 1,
        worker_id: format!("worker-{nth}"),
        incarnation: rand::random::<[u8; 16]>().to_vec(),
        attach_seq: 1,
        ..Hello::default()
    };
    say.send(AttachRequest { message: Some(Say::Hello(hello)) }).await.expect("it has room for one");
    let attached = IngestServiceClient::new(channel).attach(ReceiverStream::new(said)).await;
    let mut worker = Worker { heard: attached.expect("it is served").into_inner(), _say: say };
    routes(&mut worker).await;
    worker
}

/// The version that is heard next.
async fn routes(worker: &mut Worker) -> u64 {
    loop {
        let message = worker.heard.message().await.expect("the stream goes on").expect("the stream goes on");
        if let Some(Heard::Routes(routes)) = message.message {
            return routes.version;
        }
    }
}

async fn tell(service: &Arc<Service>, url: &str) {
    let mut workers = Vec::with_capacity(WORKERS);
    for nth in 0..WORKERS {
        workers.push(attach(url, nth).await);
    }
    let mut latencies = Vec::new();
    for round in 0..ROUNDS {
        let mut hearing = JoinSet::new();
        for mut worker in workers.drain(..) {
            let service = service.clone();
            hearing.spawn(async move {
                let version = routes(&mut worker).await;
                (worker, service.clock.now().wall, version)
            });
        }
        sleep(Duration::from_millis(200)).await;
        pin(service, round % 2 == 0);
        let mut last = (Time(0), Time(0));
        while let Some(heard) = hearing.join_next().await {
            let (worker, at, version) = heard.expect("no worker panics");
            last = (last.0.max(at), last.1.max(Time(version)));
            workers.push(worker);
        }
        latencies.push(last.0.since(last.1));
    }
    latencies.sort_unstable();
    let millis = |latency: Duration| latency.as_secs_f64() * 1e3;
    println!(
        "the last of {WORKERS} workers heard of a new version after {:.1} ms (median of {ROUNDS}), {:.1} ms at most",
        millis(latencies[ROUNDS / 2]),
        millis(latencies[ROUNDS - 1])
    );
}

/// Pins the first fallback, or ends that.
fn pin(service: &Service, pinned: bool) {
    let now = service.clock.now();
    let by_hand = ByHand {
        chain: "agents".into(),
        model: meter(MODELS[1]),
        action: Action::Pin,
        reason: "a turn".to_owned(),
        set_by: String::new(),
        start: now.wall,
        end: now.wall.after(Duration::from_secs(3_600)),
    };
    let done = match pinned {
        true => service.say_by_hand(&project(), by_hand, &Actor::offline(), now).map(drop),
        false => service.end_by_hand((&project(), "agents", &by_hand.model), "", &Actor::offline(), now).map(drop),
    };
    done.expect("it can be said");
}

fn in_process(service: &Service) {
    let project = project();
    let now = service.clock.now();
    let meters = MODELS.map(|model| service.live.meter(&project, &meter(model), now).expect("there is room"));
    let by_model: Arc<[_]> = meters.to_vec().into();
    let holder = Holder::Unary {
        project: &project,
        worker: "bench",
        incarnation: Incarnation([1; 16]),
        lease: Duration::from_secs(60),
    };
    let pair = |ask: &Ask, now: Now| {
        let answer = service.live.acquire(holder, ask, None, now).expect("there is room");
        drop(black_box(answer));
        let _given = black_box(service.live.give_back(holder, ask.id, Outcome::Ok, now).expect("it is held"));
    };
    let id = |turn: u32, nth: u32| {
        let mut id = [7; 16];
        id[..4].copy_from_slice(&nth.to_le_bytes());
        id[4..8].copy_from_slice(&turn.to_le_bytes());
        SessionId(id)
    };
    for turn in 0..3 {
        let began = service.clock.now().mono;
        for nth in 0..CALLS {
            let wanted = by_model.clone();
            let id = id(turn * 2, nth);
            let ask = Ask {
                id,
                wanted,
                priority: Priority::Standard,
                labels: None,
                waits: false,
                of_chain: None,
                without_store: false,
            };
            pair(&ask, now);
        }
        let models = service.clock.now().mono.since(began) / CALLS;
        let began = service.clock.now().mono;
        for nth in 0..CALLS {
            let id = id(turn * 2 + 1, nth);
            let (version, at) = service.routed(&project, "agents", now).expect("there is one");
            let asker = Asker { session: id, job: "", worker: "bench", priority: Priority::Standard, failed: 0 };
            let (wanted, of) = service.pick(&version.chains[at], &asker, now).expect("there is a model");
            let of_chain = Some(Box::new(of));
            let ask = Ask {
                id,
                wanted,
                priority: Priority::Standard,
                labels: None,
                waits: false,
                of_chain,
                without_store: false,
            };
            pair(&ask, now);
        }
        let chain = service.clock.now().mono.since(began) / CALLS;
        println!(
            "acquire and release of {} models: by model {} ns, by chain {} ns",
            MODELS.len(),
            models.as_nanos(),
            chain.as_nanos()
        );
    }
}

fn main() {
    let mut config = Config::default();
    config.dev = true;
    let store = EmbeddedStore::in_memory().expect("a store in memory can be made");
    let app = App::with_store(config, Arc::new(store)).expect("the service can be opened");
    let service = app.service().clone();
    let now = service.clock.now();
    service.set_chain(chain(), String::new(), &Actor::offline(), now).expect("it can be set");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = std::thread::spawn(move || {
        app.run(listener, async {
            let _ = stopped.await;
        })
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(tell(&service, &url));
    in_process(&service);
    drop(runtime);
    drop(stop);
    serving.join().expect("it does not panic").expect("it ends well");
}
