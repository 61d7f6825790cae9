//! The stream that is made, and those that are there.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    stream::{Config, DiscardPolicy, Republish, RetentionPolicy, StorageType},
};
use futures_util::future::join_all;
use tidings_testing_nats::{Cluster, Server};

use super::{open, refusal, says, site, soon};
use crate::nats::{Fault, Site, Storage, connect::requirements};

async fn jetstream(server: &Server) -> jetstream::Context {
    jetstream::new(soon(async_nats::connect(server.url())).await.unwrap())
}

#[tokio::test]
async fn hubs_that_start_together_make_it_once() {
    let server = Server::start().await;
    let opened = join_all((0..8).map(|_| open(site(&[server.url()])))).await;
    for link in opened {
        let config = &link.unwrap().stream.cached_info().config.clone();
        assert_eq!((config.num_replicas, config.storage), (1, StorageType::File));
    }
    let memory = Site {
        stream: "other".parse().unwrap(),
        storage: Storage::Memory,
        ..site(&[server.url()])
    };
    let link = open(memory).await.unwrap();
    assert_eq!(link.stream.cached_info().config.subjects, ["other.>"]);
    assert_eq!(link.stream.cached_info().config.storage, StorageType::Memory);
}

#[tokio::test]
async fn a_cluster_keeps_three() {
    let cluster = Cluster::start(3).await;
    let patient = |urls: &[String]| Site { wait: Duration::from_secs(30), ..site(urls) };
    let opened = join_all((0..6).map(|n| open(patient(&cluster.urls()[n % 3..])))).await;
    for link in opened {
        let link = link.unwrap();
        assert_eq!(link.stream.cached_info().config.num_replicas, 3);
        let cluster = link.stream.cached_info().cluster.as_ref().unwrap();
        assert!(cluster.leader.is_some() && cluster.replicas.len() == 2, "{cluster:?}");
    }
    // Five are not to be had, and what is there has three.
    let replicas = Some("5".parse().unwrap());
    let other = Site { replicas, stream: "five".parse().unwrap(), ..site(&cluster.urls()) };
    let error = refusal(other).await;
    assert_eq!(error.fault(), Fault::Server);
    says(&error, &["cannot be kept on 5 servers", "--nats-replicas"]);
    let error = refusal(Site { replicas, ..site(&cluster.urls()) }).await;
    assert_eq!(error.fault(), Fault::Stream);
    says(&error, &["its replicas is 3 and must be 5", "nats stream edit tidings --replicas 5"]);
}

#[tokio::test]
async fn one_server_keeps_no_three() {
    let server = Server::start().await;
    let error =
        refusal(Site { replicas: Some("3".parse().unwrap()), ..site(&[server.url()]) }).await;
    assert_eq!(error.fault(), Fault::Server);
    says(&error, &["cannot be kept on 3 servers", "--nats-replicas 1"]);
}

#[tokio::test]
async fn no_room_is_told() {
    let account = "accounts { A { users: [{ user: hub, password: hunter2 }], \
                   jetstream: { max_streams: 1 } } }";
    let server = super::server(account).await;
    open(super::site_as(&server, "hub:hunter2")).await.unwrap();
    let second = Site { stream: "b".parse().unwrap(), ..super::site_as(&server, "hub:hunter2") };
    let error = refusal(second).await;
    assert_eq!(error.fault(), Fault::Server);
    says(&error, &["no room for the stream b", "nats account info"]);
}

#[tokio::test]
async fn a_stream_that_has_the_subjects_is_named() {
    let server = Server::start().await;
    let other = Config {
        name: "other".into(),
        subjects: vec!["tidings.orders".into()],
        ..Config::default()
    };
    jetstream(&server).await.create_stream(other).await.unwrap();
    let error = refusal(site(&[server.url()])).await;
    assert_eq!(error.fault(), Fault::Stream);
    says(&error, &["another stream has subjects of tidings.>", "--nats-stream"]);
}

#[tokio::test]
async fn each_setting_that_would_harm_is_found() {
    let server = Server::start().await;
    let jetstream = jetstream(&server).await;
    let site = site(&[server.url()]);
    let hour = Duration::from_secs(3_600);
    let republish =
        Republish { source: ">".into(), destination: "copy.>".into(), headers_only: false };
    type Harm = fn(&mut Config);
    let harms: [(Harm, &str, &str); 13] = [
        (|c| c.subjects.push("orders".into()), "subjects", "--subjects 'tidings.>'"),
        (|c| c.retention = RetentionPolicy::WorkQueue, "retention is workqueue", "--nats-stream"),
        (|c| c.storage = StorageType::Memory, "storage is memory", "--nats-stream"),
        (|c| c.discard = DiscardPolicy::Old, "discard is old", "--discard new"),
        (|c| c.max_messages = 10, "max_msgs is 10", "--max-msgs=-1"),
        (|c| c.max_bytes = 1_000, "max_bytes is 1000", "--max-bytes=-1"),
        (|c| c.max_messages_per_subject = 2, "max_msgs_per_subject is 2", "--max-msgs-per"),
        (|c| c.max_message_size = 100, "max_msg_size is 100", "--max-msg-size=-1"),
        (|c| c.max_consumers = 2, "max_consumers is 2", "--nats-stream"),
        (|c| c.allow_direct = false, "allow_direct is false", "--allow-direct"),
        (|c| c.no_ack = true, "no_ack is true", "--ack"),
        (|c| c.deny_delete = true, "deny_delete is true", "--nats-stream"),
        (|c| c.deny_purge = true, "deny_purge is true", "--nats-stream"),
    ];
    for (harm, found, mend) in harms {
        let mut config = requirements::config(&site, 1);
        harm(&mut config);
        jetstream.create_stream(config).await.unwrap();
        let error = refusal(site.clone()).await;
        assert_eq!(error.fault(), Fault::Stream);
        says(&error, &[found, " and must be ", mend]);
        assert_eq!(error.to_string().matches(" and must be ").count(), 1, "{error}");
        jetstream.delete_stream("tidings").await.unwrap();
    }
    let several = Config {
        max_age: hour,
        republish: Some(republish),
        duplicate_window: hour,
        ..requirements::config(&site, 1)
    };
    jetstream.create_stream(several).await.unwrap();
    let error = refusal(site.clone()).await;
    says(
        &error,
        &[
            "its max_age is 1h and must be unlimited, its republish is > to copy.> and must be none",
            "`nats stream edit tidings --max-age=-1 --no-republish` mends it",
        ],
    );
    jetstream.delete_stream("tidings").await.unwrap();
    // What a hub makes is what it accepts, and what it does not need may be as it likes.
    let mut config = requirements::config(&site, 1);
    config.duplicate_window = hour;
    config.description = None;
    config.allow_rollup = true;
    jetstream.create_stream(config).await.unwrap();
    open(site).await.unwrap();
}
