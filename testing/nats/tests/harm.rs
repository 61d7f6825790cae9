//! The harm that this crate does is real, and is undone.

use std::{
    io::{BufRead as _, BufReader, ErrorKind},
    process::{Command, Stdio},
    time::Duration,
};

use async_nats::jetstream::{self, stream};
use futures_util::StreamExt as _;
use tidings_testing_nats::{Cluster, Options, Proxy, Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(60);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it comes in time")
}

async fn make_stream(urls: &[String], replicas: usize) -> jetstream::Context {
    let client = async_nats::connect(urls).await.unwrap();
    let jetstream = jetstream::new(client);
    let config = stream::Config {
        name: "letters".into(),
        subjects: vec!["letters.>".into()],
        num_replicas: replicas,
        ..stream::Config::default()
    };
    jetstream.create_stream(config).await.unwrap();
    jetstream
}

/// Publishes until it is acknowledged.
async fn publish(jetstream: &jetstream::Context) -> u64 {
    soon(async {
        loop {
            if let Ok(sent) = jetstream.publish("letters.a", "hello".into()).await
                && let Ok(stored) = sent.await
            {
                return stored.sequence;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_loses_its_leader_and_has_another() {
    let mut cluster = Cluster::start(3).await;
    let jetstream = make_stream(&cluster.urls(), 3).await;
    publish(&jetstream).await;
    let leader = cluster.leader("letters").await;
    cluster.servers[leader].kill();
    assert_ne!(cluster.leader("letters").await, leader);
    assert!(publish(&jetstream).await >= 2);
    cluster.servers[leader].restart().await;
    cluster.ready().await;
}

#[tokio::test]
async fn a_server_keeps_its_address_and_store_until_it_is_wiped() {
    let mut server = Server::start().await;
    let url = server.url();
    let jetstream = make_stream(std::slice::from_ref(&url), 1).await;
    assert_eq!(publish(&jetstream).await, 1);
    server.kill();
    server.restart().await;
    assert_eq!(server.url(), url);
    assert!(server.leads("letters").await);
    server.stop().await;
    server.wipe();
    server.restart().await;
    assert!(!server.leads("letters").await);
}

#[tokio::test]
async fn a_frozen_server_says_nothing() {
    let mut server = Server::start_with(&Options::without_jetstream()).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut answers = client.subscribe("echo").await.unwrap();
    client.publish("echo", "a".into()).await.unwrap();
    assert!(soon(answers.next()).await.is_some());
    server.freeze();
    client.publish("echo", "b".into()).await.unwrap();
    assert!(timeout(Duration::from_millis(200), answers.next()).await.is_err());
    server.thaw();
    assert!(soon(answers.next()).await.is_some());
}

#[tokio::test]
async fn a_server_has_the_lines_that_it_is_given() {
    let options = Options::with_config("authorization { token: \"sesame\" }\nmax_payload: 2048");
    let server = Server::start_with(&options).await;
    assert!(async_nats::connect(server.url()).await.is_err());
    let with_token = async_nats::ConnectOptions::with_token("sesame".into());
    let client = with_token.connect(server.url()).await.unwrap();
    assert_eq!(client.server_info().max_payload, 2048);
}

fn is_there(process: &str) -> bool {
    Command::new("kill").args(["-0", process]).output().unwrap().status.success()
}

#[tokio::test]
async fn a_server_that_is_dropped_is_gone() {
    let mut server = Server::start_with(&Options::without_jetstream()).await;
    let process = server.process().unwrap().to_string();
    assert!(is_there(&process));
    drop(server);
    assert!(!is_there(&process));
}

#[tokio::test]
async fn a_server_ends_with_a_test_that_is_killed() {
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(test.stdout.take().unwrap()).lines().map(Result::unwrap);
    let process = lines.filter_map(|line| line.strip_prefix(TOLD).map(str::to_owned)).next();
    test.kill().unwrap();
    test.wait().unwrap();
    let process = process.expect("it tells");
    soon(async {
        while is_there(&process) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

const TOLD: &str = "the server is ";

#[tokio::test]
#[ignore = "is run, and killed, by a_server_ends_with_a_test_that_is_killed"]
async fn be_killed() {
    let mut server = Server::start_with(&Options::without_jetstream()).await;
    println!("\n{TOLD}{}", server.process().unwrap());
    let _ = timeout(DEADLINE, std::future::pending::<()>()).await;
}

#[tokio::test]
async fn a_line_is_cut_and_healed() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(target.local_addr().unwrap()).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = target.accept().await.unwrap();
    let mut byte = [0];

    client.write_all(b"a").await.unwrap();
    soon(server.read_exact(&mut byte)).await.unwrap();
    assert_eq!(&byte, b"a");

    proxy.cut();
    // Whoever comes now is accepted, and nobody is told.
    let mut late = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(b"b").await.unwrap();
    server.write_all(b"c").await.unwrap();
    let silence = Duration::from_millis(200);
    assert!(timeout(silence, server.read(&mut byte)).await.is_err());
    assert!(timeout(silence, client.read(&mut byte)).await.is_err());
    assert!(timeout(silence, late.read(&mut byte)).await.is_err());
    assert!(timeout(silence, target.accept()).await.is_err());

    proxy.heal();
    for side in [&mut client, &mut server, &mut late] {
        match soon(side.read(&mut byte)).await {
            Ok(0) => {}
            Err(cause) if cause.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("a cut connection is closed: {other:?}"),
        }
    }
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = soon(target.accept()).await.unwrap();
    server.write_all(b"d").await.unwrap();
    soon(client.read_exact(&mut byte)).await.unwrap();
    assert_eq!(&byte, b"d");

    proxy.close_all();
    assert!(matches!(soon(client.read(&mut byte)).await, Ok(0) | Err(_)));
    TcpStream::connect(proxy.address()).await.unwrap();
    soon(target.accept()).await.unwrap();
}
