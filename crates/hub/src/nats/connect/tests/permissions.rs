//! What a hub's user must be allowed: the list that the documentation gives is enough.

use std::time::Duration;

use tidings_server::{
    log::{Log as _, ReadLimits, Retention, Since},
    matcher::{Filter, Matcher},
    record::NewRecord,
    topic::Topic,
};
use tokio::time::{interval, timeout};

use super::{DEADLINE, open, refusal, says, server, site_as, soon};
use crate::nats::{Entry, Fault, NatsLog, Options, Site};

/// The lists in the documentation, word for word.
fn documented() -> String {
    let text = include_str!("../../../../../../docs/clustering.md");
    let from = text.find("permissions: {").expect("the documentation lists them");
    let to = from + text[from..].find("\n```").expect("it ends");
    text[from..to].to_owned()
}

fn entry() -> Entry {
    Entry {
        hub: "a".into(),
        url: "http://localhost/".into(),
        version: "0".into(),
        subscribers: 0,
        behind: 0,
        topics: Vec::new(),
    }
}

#[tokio::test]
async fn what_is_documented_is_enough() {
    let user = format!("{{ user: hub, password: hunter2\n{}\n}}", documented());
    let server = server(&format!("authorization {{ users: [{user}] }}")).await;
    let opened = async |records_max| {
        let mut options = Options::new(site_as(&server, "hub:hunter2"));
        options.retention = Retention { records_max, ..Retention::UNLIMITED };
        options.clear_after = Duration::ZERO;
        options.eager_upkeep = true;
        let log = soon(NatsLog::open(options)).await;
        log.unwrap_or_else(|error| panic!("{error}\n{}", server.log()))
    };
    let topic = || Topic::new("a").unwrap();
    let log = opened(5).await;
    // So much that a follower is asked whether it keeps up.
    for _ in 0..200 {
        let record = NewRecord::new(topic(), "x".repeat(20_000));
        soon(log.append(record.into())).await.unwrap();
    }
    // What is trimmed is deleted.
    let link = open(site_as(&server, "hub:hunter2")).await.unwrap();
    let cleared = timeout(DEADLINE, async {
        let mut turn = interval(Duration::from_millis(20));
        while link.stream.get_info().await.unwrap().state.first_sequence < 100 {
            turn.tick().await;
        }
    });
    assert!(cleared.await.is_ok(), "{:?} {}", log.state(), server.log());
    soon(log.close()).await;

    let log = opened(5).await;
    let filter = Filter::new([Matcher::Exact(topic())]);
    let limits = ReadLimits { records_max: 100, bytes_max: 1 << 20 };
    let page = soon(log.read(Since::after(log.bounds().first), &filter, limits)).await.unwrap();
    assert!(page.records.len() >= 4, "{page:?}");
    // Hubs ask each other how they are.
    let (census, entry) = (log.census(), entry());
    let asked = async {
        let mut turn = interval(Duration::from_millis(20));
        while census.ask(Vec::new()).await != std::slice::from_ref(&entry) {
            turn.tick().await;
        }
    };
    let answered = timeout(DEADLINE, async {
        tokio::select! {
            () = asked => {}
            () = census.answer(|_| entry.clone()) => {}
        }
    });
    assert!(answered.await.is_ok(), "{}", server.log());
    soon(log.close()).await;
    assert!(!server.log().contains("iolation"), "{}", server.log());

    // What opening needs later on is told as well as what it needs first.
    let less = documented().replace("$JS.API.CONSUMER.CREATE", "none");
    let user = format!("{{ user: hub, password: hunter2\n{less}\n}}");
    let stricter = super::server(&format!("authorization {{ users: [{user}] }}")).await;
    let error = soon(NatsLog::open(Options::new(site_as(&stricter, "hub:hunter2")))).await;
    says(&error.unwrap_err(), &["Permissions Violation", "$JS.API.CONSUMER.CREATE.tidings"]);

    // And nothing is allowed of other streams.
    let other = Site { stream: "other".parse().unwrap(), ..site_as(&server, "hub:hunter2") };
    let error = refusal(other).await;
    assert_eq!(error.fault(), Fault::Refused);
    says(&error, &["Permissions Violation", "$JS.API.STREAM.INFO.other"]);
    assert!(server.log().contains("iolation"), "{}", server.log());
}
