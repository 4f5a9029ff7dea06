// The lines that connect a first worker.

const isSecure = (address: URL): boolean => address.protocol === "https:";

/** `host:port`, the port always said. */
export const hostPort = (address: URL): string => `${address.hostname}:${address.port || (isSecure(address) ? "443" : "80")}`;

/** Python, with the worker of `clients/python`, which holds a stream. */
export function python(address: URL, project: string, needsKey: boolean): string {
  const lines = [
    ...(needsKey ? ["import os"] : []),
    ...(isSecure(address) ? ["import grpc"] : []),
    "from highwater.v1.types_pb2 import KIND_TTS",
    "from highwater_worker import Worker",
    "",
    `worker = Worker("${hostPort(address)}", "${project}", worker_id="agent-1"${needsKey ? ', token=os.environ["HIGHWATER_KEY"]' : ""}${isSecure(address) ? ", tls=grpc.ssl_channel_credentials()" : ""})`,
    'tts = worker.meter(KIND_TTS, "cartesia/sonic-3")',
    'with worker.session(tts, room="lobby"):  # the slot is held while this runs',
    '    input("A slot is held. Enter gives it back. ")',
    "worker.close()",
  ];
  return lines.join("\n");
}

/** Rust, with stubs that tonic makes of the protos: one call reports, and another keeps the lease. */
export function rust(address: URL, project: string, needsKey: boolean): string {
  const lines = [
    `let channel = Endpoint::from_static("${address.origin}").connect().await?;`,
    ...(needsKey
      ? [
          'let key: MetadataValue<_> = format!("Bearer {}", std::env::var("HIGHWATER_KEY")?).parse()?;',
          "let mut service = IngestServiceClient::with_interceptor(channel, move |mut call: Request<()>| {",
          '    call.metadata_mut().insert("authorization", key.clone());',
          "    Ok(call)",
          "});",
        ]
      : ["let mut service = IngestServiceClient::new(channel);"]),
    'let meter = Meter { kind: Kind::Tts.into(), model: "cartesia/sonic-3".into(), ..Default::default() };',
    'let event = ReportedEvent { session_id: b"call-17".to_vec(), meter: Some(meter), ..Default::default() };',
    `let (project, worker_id, incarnation) = ("${project}".into(), "agent-1".into(), Uuid::new_v4().as_bytes().to_vec());`,
    "let report = ReportRequest { project, worker_id, incarnation, events: vec![event], ..Default::default() };",
    "service.report(report).await?; // a slot is held; a heartbeat within each 10 s keeps it",
  ];
  return lines.join("\n");
}
