//! What workers report, over a real connection to a real service.

use highwater::proto::{attach_request::Message as Say, attach_response::Message as Heard};

use crate::serving::{MODEL, Serving, Worker, batch, connect, declare, disconnect, hello, snapshot};

#[tokio::test]
async fn a_worker_s_sessions_are_counted_and_acknowledged() {
    let serving = Serving::start();
    let mut worker = Worker::attach(&serving, hello(1, 1)).await;
    worker.say(declare(1, &format!("{MODEL}:some-voice"))).await;
    let Heard::Declared(declared) = worker.hear().await else { panic!("declared is due") };
    let meter = declared.meters[0].meter.clone().unwrap();
    assert_eq!((meter.model.as_str(), meter.account.as_str(), meter.unit), (MODEL, "livekit", 1));
    assert!(declared.meters[0].in_catalogue);
    worker.say(snapshot(&[1, 2])).await;
    let Heard::Ack(ack) = worker.hear().await else { panic!("an acknowledgement is due") };
    assert_eq!((ack.applied_seq, serving.level()), (0, 2));
    worker.say(batch(1, [connect(3), connect(4), disconnect(1)])).await;
    worker.say(batch(2, [connect(5)])).await;
    worker.until_applied(2).await;
    assert_eq!(serving.level(), 4);
    // Without another word from the worker, it hears that its second is durable.
    loop {
        let Heard::Ack(ack) = worker.hear().await else { panic!("an acknowledgement is due") };
        if ack.durable_seq == 2 {
            break;
        }
    }
    worker.say(Say::Goodbye(highwater::proto::StreamGoodbye { outcome: 1 })).await;
    assert_eq!(worker.end().await.code(), tonic::Code::Ok);
    assert_eq!(serving.level(), 0);
}
