//! What a hub's user must be allowed: the list that the documentation gives is enough.

use async_nats::jetstream::consumer::{pull, push};
use futures_util::StreamExt as _;

use super::{open, place_as, refusal, says, server, soon};
use crate::nats::{Fault, Place};

/// The lists in the documentation, word for word.
fn documented() -> String {
    let text = include_str!("../../../../../../docs/clustering.md");
    let from = text.find("permissions: {").expect("the documentation lists them");
    let to = from + text[from..].find("\n```").expect("it ends");
    text[from..to].to_owned()
}

#[tokio::test]
async fn what_is_documented_is_enough() {
    let users = format!("[{{ user: hub, password: hunter2, {} }}]", documented().trim_end());
    let users = users.replace("}\n}]", "}}]");
    let server = server(&format!("authorization {{ users: {users} }}")).await;
    let link = open(place_as(&server, "hub:hunter2")).await.unwrap();
    let (jetstream, stream) = (&link.jetstream, &link.stream);
    for n in 0..3 {
        let published = jetstream.publish(format!("tidings.t.{n}"), "x".into()).await.unwrap();
        assert_eq!(soon(published.into_future()).await.unwrap().sequence, n + 1);
    }
    assert_eq!(soon(stream.direct_get(1)).await.unwrap().sequence, 1);
    let last = soon(stream.direct_get_last_for_subject("tidings.t.2")).await.unwrap();
    assert_eq!(last.sequence, 3);
    assert_eq!(soon(stream.get_raw_message(2)).await.unwrap().sequence, 2);

    let pulled = pull::OrderedConfig::default();
    let pulled = soon(stream.create_consumer(pulled)).await.unwrap();
    let mut pulled = soon(pulled.messages()).await.unwrap();
    let filter_subject = "tidings.t.*".to_owned();
    let deliver_subject = link.client.new_inbox();
    let pushed = push::OrderedConfig { deliver_subject, filter_subject, ..Default::default() };
    let pushed = soon(stream.create_consumer(pushed)).await.unwrap();
    let mut pushed = soon(pushed.messages()).await.unwrap();
    for n in 1..=3 {
        let pulled = soon(pulled.next()).await.unwrap().unwrap();
        let pushed = soon(pushed.next()).await.unwrap().unwrap();
        for message in [pulled, pushed] {
            assert_eq!(message.info().unwrap().stream_sequence, n);
        }
    }
    assert!(soon(stream.delete_message(2)).await.unwrap());
    let purged = soon(async { stream.purge().filter("tidings.t.0").await }).await.unwrap();
    assert_eq!(purged.purged, 1);
    assert_eq!(soon(stream.get_info()).await.unwrap().state.messages, 1);

    // And nothing of other streams.
    let other = Place { stream: "other".parse().unwrap(), ..place_as(&server, "hub:hunter2") };
    let error = refusal(other).await;
    assert_eq!(error.fault(), Fault::Refused);
    says(&error, &["Permissions Violation", "$JS.API.STREAM.INFO.other"]);
}
