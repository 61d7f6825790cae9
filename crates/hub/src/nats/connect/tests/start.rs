//! When there is a server, and when it will do.

use std::time::Duration;

use tidings_testing_nats::{Options as ServerOptions, Proxy, Server};
use tokio::net::TcpListener;

use super::{open, refusal, says, server, site, soon};
use crate::nats::{Fault, Link, OpenError, Options, Site, connect::is_new_enough};

#[tokio::test]
async fn a_server_that_comes_later_is_waited_for() {
    let mut server = Server::start().await;
    server.stop().await;
    let patient = Site { wait: Duration::from_secs(60), ..site(&[server.url()]) };
    let opening = tokio::spawn(open(patient));
    server.restart().await;
    soon(opening).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_of_several_servers_is_enough() {
    let server = Server::start().await;
    let closed = closed_port().await;
    open(site(&[closed, server.url()])).await.unwrap();
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_told() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("nats://{}", silent.local_addr().unwrap());
    let server = Server::start().await;
    let hole = Proxy::start(server.address()).await;
    hole.cut();
    for (url, why) in [
        (closed_port().await, "refused"),
        ("nats://nowhere.invalid".into(), "nowhere.invalid:4222"),
        (silent, "timed out"),
        (hole.url(), "timed out"),
    ] {
        let site = Site { wait: Duration::from_millis(100), ..site(&[url]) };
        let error = refusal(site).await;
        assert_eq!(error.fault(), Fault::Unreachable);
        says(&error, &["could not be reached at", "within 100ms", why, "--nats-wait"]);
    }
}

async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("nats://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn jetstream_must_be_on() {
    let server = Server::start_with(&ServerOptions::without_jetstream()).await;
    let error = refusal(site(&[server.url()])).await;
    assert_eq!(error.fault(), Fault::Server);
    says(&error, &["runs without JetStream", "nats-server with -js"]);
}

#[tokio::test]
async fn jetstream_must_be_on_for_the_account() {
    let accounts = "accounts { A { users: [{ user: hub, password: hunter2 }] }\n\
                    B { users: [{ user: b, password: b }], jetstream: enabled } }";
    let server = server(accounts).await;
    let error = refusal(super::site_as(&server, "hub:hunter2")).await;
    assert_eq!(error.fault(), Fault::Server);
    says(&error, &["not for the hub's account"]);
    open(super::site_as(&server, "b:b")).await.unwrap();
}

#[tokio::test]
async fn the_largest_message_must_fit() {
    let server = server("max_payload: 100000").await;
    let mut options = Options::new(site(&[server.url()]));
    options.message_bytes_max = 100_001;
    let error = soon(Link::open(&options)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Server);
    says(&error, &["at most 100000 bytes", "max_payload: 100001", "--body-bytes-max 67232"]);
    options.message_bytes_max = 100_000;
    soon(Link::open(&options)).await.unwrap();
}

#[test]
fn old_servers_are_told_from_new_ones() {
    for new in ["2.9.10", "2.9.25", "2.10.0", "2.11.0-beta.1", "3.0.0", "v2.12.1", "2.9.10-RC.1"] {
        assert!(is_new_enough(new), "{new}");
    }
    for old in ["2.9.9", "2.8.4", "1.4.1", "", "dev"] {
        assert!(!is_new_enough(old), "{old}");
    }
    let error = OpenError::TooOld { version: "2.8.4".into() };
    says(&error, &["2.8.4", "2.9.10 or later"]);
}
