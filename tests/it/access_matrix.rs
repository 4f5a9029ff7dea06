//! Every call of the contract, by every role, by a bearer, a LiveKit token and the cookie of a browser, with ids of its
//! own, of another project and of nobody, made from the descriptors: whoever may not is told so, and what is another's
//! answers as what does not exist, byte for byte.

mod alerts;
pub mod asks;
mod descriptors;
mod raw;

use std::{collections::BTreeMap, time::Duration};

use descriptors::{Alone as _, names, rule};
use highwater::{
    access::Role,
    api::auth::table::{Rule, TABLE},
    live::Event,
    model::{Incarnation, Key, Meter, SessionId, Target},
    proto::{self, Labels, ReportRequest, ReportedEvent},
    service::{Actor, Author, Clock, requests::Asked},
};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
    prost::{Message as _, bytes::Bytes},
};
use raw::Raw;
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};

use crate::{
    access::{LIVEKIT_KEY, LIVEKIT_SECRET, PERFORM, bearer, key, keyed, mint, new_key, register_livekit},
    serving::{MODEL, SOON, Serving, id, meter},
};

const OWN: &str = "project-own";
const FOREIGN: &str = "project-two";
const MISSING: &str = "project-non";
/// What only the other project knows.
const FOREIGN_ROOM: &str = "room-of-the-others";
const MISSING_KEY: &str = "Missing000";
/// How the cookie of a browser begins.
const COOKIE: &str = "hw=";
/// More than the limit that each call finds.
const WANTED: u32 = 40;
const LEASE: Duration = Duration::from_secs(120);

/// What a request names.
#[derive(Clone, Debug)]
struct Ids {
    project: String,
    /// Id of a key, or of a request.
    key: String,
    incarnation: Vec<u8>,
    session: SessionId,
    alert: String,
}

/// What came back: the first message, or the status.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    code: Code,
    message: String,
    details: Vec<u8>,
    metadata: BTreeMap<String, Vec<u8>>,
    body: Vec<u8>,
}

impl Answer {
    fn of(answered: Result<Option<Bytes>, Status>) -> Self {
        let status = match answered {
            Ok(body) => {
                let body = body.unwrap_or_default().to_vec();
                let (message, details, metadata) = Default::default();
                return Self { code: Code::Ok, message, details, metadata, body };
            }
            Err(status) => status,
        };
        let headers = status.metadata().clone().into_headers();
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            details: status.details().to_vec(),
            // All but the time of day.
            metadata: headers
                .iter()
                .filter(|(name, _)| *name != "date")
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect(),
            body: Vec::new(),
        }
    }

    /// The same as it would be had another name been sent.
    fn renamed(&self, from: &str, to: &str) -> Self {
        assert_eq!(from.len(), to.len(), "so that lengths in the details are the same");
        let swap = |bytes: &[u8]| replace(bytes, from.as_bytes(), to.as_bytes());
        let metadata = self.metadata.iter().map(|(name, value)| (name.clone(), swap(value))).collect();
        let message = self.message.replace(from, to);
        Self { code: self.code, message, details: swap(&self.details), metadata, body: self.body.clone() }
    }

    fn says(&self, words: &str) -> bool {
        let has = |bytes: &[u8]| bytes.windows(words.len()).any(|part| part == words.as_bytes());
        self.message.contains(words) || has(&self.details) || has(&self.body)
    }
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for at in 0..out.len().saturating_sub(from.len() - 1) {
        if out[at..].starts_with(from) {
            out[at..at + from.len()].copy_from_slice(to);
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request of this type that is right in all but, perhaps, what it names.
fn fill(descriptor: &MessageDescriptor, ids: &Ids) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        // Of a choice, the first: a hello of a stream's messages, a meter of a target.
        let is_later_choice = field.containing_oneof().is_some_and(|oneof| {
            oneof.fields().next().is_some_and(|first| first.number() != field.number())
                && !field.supports_presence_alone()
        });
        if !is_later_choice && let Some(value) = value(&field, ids) {
            message.set_field(&field, value);
        }
    }
    message
}

fn value(field: &FieldDescriptor, ids: &Ids) -> Option<Value> {
    let text = |text: &str| Some(Value::String(text.to_owned()));
    if let Some(value) = alerts::value(field, &ids.alert).or_else(|| asks::value(field)) {
        return Some(value);
    }
    let value = match field.name() {
        "project" => return text(&ids.project),
        "id" => return text(&ids.key),
        "incarnation" if field.kind() == Kind::String => return text(&hex(&ids.incarnation)),
        "session_id" if field.kind() == Kind::String => return text(&ids.session.to_string()),
        "reason" => return text("the matrix"),
        "wanted_slots" => Value::U32(WANTED),
        "slots" if field.parent_message().name() == "DecideIncreaseRequestRequest" => Value::U32(WANTED),
        "incarnation" => return Some(Value::Bytes(ids.incarnation.clone().into())),
        "worker_id" => return text(if field.parent_message().name() == "ListSessionsRequest" { "" } else { "w" }),
        "set_by" => return text("matrix"),
        "plan_id" => return text("livekit-build"),
        "file_by_filename" => return text("highwater/v1/types.proto"),
        "livekit_api_key" => return text(&format!("API{}", Clock::wall().0)),
        "secret" => return text(&"s".repeat(40)),
        "model" if field.parent_message().name() == "Meter" => return text(MODEL),
        "slots" => Value::U32(4),
        "protocol_version" => Value::U32(1),
        "attach_seq" => Value::U64(Clock::wall().0),
        "kind" if matches!(field.parent_message().name(), "Meter" | "ProposeAssignmentRequest") => Value::EnumNumber(3),
        "role" => Value::EnumNumber(1),
        "update_mask" => {
            let Kind::Message(mask) = field.kind() else { return None };
            let mut mask = DynamicMessage::new(mask);
            mask.set_field_by_name("paths", Value::List(vec![Value::String("display_name".to_owned())]));
            Value::Message(mask)
        }
        "target" | "meter" | "meters" | "api_key" | "hello" | "targets" => {
            let Kind::Message(inner) = field.kind() else { return text(&ids.key) };
            let inner = Value::Message(fill(&inner, ids));
            if field.is_list() { Value::List(vec![inner]) } else { inner }
        }
        _ => return None,
    };
    Some(value)
}

async fn call(channel: &Channel, token: Option<&str>, method: &MethodDescriptor, ids: &Ids) -> Answer {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let body = Bytes::from(fill(&method.input(), ids).encode_to_vec());
    // A worker's stream stays open for its answer.
    let requests = tokio_stream::StreamExt::chain(tokio_stream::once(body), tokio_stream::pending());
    let once = tokio_stream::StreamExt::take(requests, if method.is_client_streaming() { 2 } else { 1 });
    let mut request = Request::new(once);
    if let Some(cookie) = token.filter(|token| token.starts_with(COOKIE)) {
        for (name, value) in [("cookie", cookie), ("x-highwater", "1"), ("sec-fetch-site", "same-origin")] {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
    } else if let Some(token) = token {
        request = tonic::service::Interceptor::call(&mut bearer(token), Request::new(()))
            .map(|with| Request::from_parts(with.metadata().clone(), Default::default(), request.into_inner()))
            .unwrap();
    }
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let answered = async {
        let mut answers = client.streaming(request, path.parse().unwrap(), Raw).await?.into_inner();
        answers.message().await
    };
    Answer::of(tokio::time::timeout(SOON, answered).await.expect("every call is answered"))
}

/// A service with two projects that hold the same.
struct World {
    serving: Serving,
    channel: Channel,
    alert: String,
}

impl World {
    async fn new() -> Self {
        let serving = keyed();
        let (_, operator) = key(&serving, new_key(Role::Operator, OWN));
        let channel = serving.channel().await;
        let mut ingest =
            proto::ingest_service_client::IngestServiceClient::with_interceptor(channel.clone(), bearer(&operator));
        for (project, nth, room) in [(OWN, 1, "room-of-our-own"), (FOREIGN, 2, FOREIGN_ROOM)] {
            let labels = Some(Labels { room: room.into(), job: String::new() });
            let event = ReportedEvent { session_id: id(nth), meter: Some(meter(MODEL)), labels, ..Default::default() };
            let lease = Some(prost_types::Duration { seconds: 120, nanos: 0 });
            let report = ReportRequest {
                project: project.into(),
                worker_id: "w".into(),
                incarnation: id(nth),
                lease,
                events: vec![event],
            };
            ingest.report(report).await.unwrap();
        }
        let alert = alerts::firing(&serving, OWN).await;
        let world = Self { serving, channel, alert };
        world.limit(FOREIGN);
        asks::chain(&world.serving, FOREIGN);
        world
    }

    /// Sets a limit, which some calls end.
    fn limit(&self, project: &str) {
        let (actor, now) = (Actor::offline(), self.serving.service.clock.now());
        let target = Target::Meter(Meter::new(highwater::model::Kind::Tts, MODEL, "", None).unwrap());
        let key = Key { project: crate::access::project(project), target };
        let author = Author { set_by: "test".into(), reason: String::new(), actor };
        self.serving.service.set_limit(&key, 9, None, author, now).unwrap();
    }

    /// What a caller names of its own; keys, limits, requests and sessions are new each time, since some calls end them.
    fn own(&self, method: &MethodDescriptor, by: &str) -> Ids {
        self.limit(OWN);
        [alerts::recipient, asks::chain].iter().for_each(|make| make(&self.serving, OWN));
        let project = match method.name() {
            "CreateProject" => format!("made-{}", Clock::wall().0),
            "DeleteProject" => {
                let name = format!("left-{}", Clock::wall().0);
                let (service, project) = (&self.serving.service, crate::access::project(&name));
                service.create_project(&project, &Actor::offline(), service.clock.now()).unwrap();
                name
            }
            _ => OWN.to_owned(),
        };
        let (key, session, alert) = (self.victim(method, OWN, by), self.session(), self.alert.clone());
        Ids { project, key, incarnation: id(1), session, alert }
    }

    /// What a browser has that signed in with this.
    fn cookie(&self, token: &str) -> String {
        let (access, now) = (&self.serving.service.access, Clock::wall());
        format!("{COOKIE}{}", access.sign_in(&access.verify(token, now).unwrap(), now).0.expose())
    }

    /// A key, or a request that somebody made.
    fn victim(&self, method: &MethodDescriptor, project: &str, by: &str) -> String {
        if method.parent_service().name() != "RequestService" {
            // There is a bound on the keys of a project.
            let needed = names(&method.input(), "id").then(|| key(&self.serving, new_key(Role::Worker, project)).0);
            return needed.unwrap_or_else(|| MISSING_KEY.to_owned());
        }
        let (service, project) = (&self.serving.service, crate::access::project(project));
        let (now, actor) = (service.clock.now(), Actor { key: by.into(), ..Actor::offline() });
        // Those of earlier calls: a project has only so many open ones.
        for open in service.requests.list(Some(&project)).iter().filter(|request| request.is_open()) {
            service.withdraw_increase(&open.id, (&|_| true, &|_| true), &actor, now).unwrap();
        }
        let target = Target::Meter(Meter::new(highwater::model::Kind::Tts, MODEL, "", None).unwrap());
        let (reason, evidence) = ("the matrix".into(), Default::default());
        let asked = Asked { project, target, wanted: WANTED, reason, end: None, evidence };
        service.ask_increase(asked, &actor, now).unwrap().id.clone()
    }

    /// A session of the worker that reports by single calls.
    fn session(&self) -> SessionId {
        let (service, project) = (&self.serving.service, crate::access::project(OWN));
        let (live, now) = (&service.live, service.clock.now());
        let name = Meter::new(highwater::model::Kind::Tts, MODEL, "", None).unwrap();
        let (id, meter) = (SessionId(rand::random()), live.meter(&project, &name, now).unwrap());
        let open = Event::Open { id, meter, age: Duration::ZERO, labels: None };
        let who = Incarnation(crate::serving::id(1).try_into().unwrap());
        live.report(&project, "w", who, LEASE, vec![open], now).unwrap();
        id
    }
}

fn methods() -> Vec<MethodDescriptor> {
    let mut pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    for set in [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        pool.decode_file_descriptor_set(set).unwrap();
    }
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    assert_eq!(methods.len(), TABLE.len());
    methods
}

#[tokio::test]
async fn nobody_is_where_they_do_not_belong() {
    let world = World::new().await;
    let keys = Role::ALL.into_iter().map(|role| (role, key(&world.serving, new_key(role, OWN))));
    let both = |(role, (id, key)): (Role, (String, String))| [(role, world.cookie(&key), id.clone()), (role, key, id)];
    // A LiveKit agent's own token is a worker's.
    register_livekit(&world.serving, OWN);
    let agent = (Role::Worker, mint(LIVEKIT_KEY, LIVEKIT_SECRET, 600, PERFORM), LIVEKIT_KEY.to_owned());
    let shown: Vec<_> = keys.flat_map(both).chain([agent]).collect();
    let mut calls = 0;
    for method in methods() {
        let rule = rule(&method);
        let what = |role: &str| format!("{} by {role}", method.full_name());
        let anonymous = call(&world.channel, None, &method, &world.own(&method, "nobody")).await;
        match rule {
            Rule::Open => assert_eq!(anonymous.code, Code::Ok, "{}: {anonymous:?}", what("nobody")),
            // Failures are throttled after the first ones: either way nothing is said.
            Rule::Roles(_) => assert!(
                matches!(anonymous.code, Code::Unauthenticated | Code::ResourceExhausted),
                "{}: {anonymous:?}",
                what("nobody")
            ),
        }
        let Rule::Roles(roles) = rule else { continue };
        for (role, token, key) in &shown {
            calls += 1;
            check(&world, &method, (*role, token, key), roles.has(*role)).await;
        }
    }
    assert!(calls > 200, "{calls}");
}

async fn check(world: &World, method: &MethodDescriptor, (role, token, by): (Role, &str, &str), may: bool) {
    let what = format!("{} by {role}", method.full_name());
    let ask = async |ids: Ids| call(&world.channel, Some(token), method, &ids).await;
    let own = ask(world.own(method, by)).await;
    let foreign_key = world.victim(method, FOREIGN, "another");
    let (project, key, incarnation) =
        (names(&method.input(), "project"), names(&method.input(), "id"), names(&method.input(), "incarnation"));
    let foreign = [
        (
            "project",
            project,
            Ids { project: FOREIGN.to_owned(), ..world.own(method, by) },
            FOREIGN.to_owned(),
            MISSING.to_owned(),
        ),
        ("key", key, Ids { key: foreign_key.clone(), ..world.own(method, by) }, foreign_key, MISSING_KEY.to_owned()),
        ("incarnation", incarnation, Ids { incarnation: id(2), ..world.own(method, by) }, String::new(), String::new()),
    ];
    if !may {
        assert_eq!(own.code, Code::PermissionDenied, "{what}: {own:?}");
        for (axis, _, ids, _, _) in foreign {
            assert_eq!(ask(ids).await, own, "{what}, another's {axis}");
        }
        return;
    }
    if method.parent_service().name() == "DemoService" {
        assert_eq!(own.code, Code::Unimplemented, "{what}: there is no demo: {own:?}");
        return;
    }
    assert_eq!(own.code, Code::Ok, "{what}, its own: {own:?}");
    if role == Role::Operator {
        return;
    }
    assert!(!own.says(FOREIGN) && !own.says(FOREIGN_ROOM), "{what} tells of others: {own:?}");
    for (axis, is_named, ids, name, missing_name) in foreign {
        if !is_named {
            continue;
        }
        let missing = match axis {
            "project" => Ids { project: MISSING.to_owned(), ..ids.clone() },
            "key" => Ids { key: MISSING_KEY.to_owned(), ..ids.clone() },
            _ => Ids { incarnation: id(99), ..ids.clone() },
        };
        let (foreign, missing) = (ask(ids).await, ask(missing).await);
        if axis == "incarnation" {
            // Incarnations are the worker's to choose: another project's is one that nobody uses here.
            assert_eq!(foreign.code, missing.code, "{what}: {foreign:?} {missing:?}");
            continue;
        }
        assert_eq!(foreign.code, Code::NotFound, "{what}, another's {axis}: {foreign:?}");
        assert_eq!(foreign.renamed(&name, &missing_name), missing, "{what}, another's {axis}");
    }
}
