//! Where what a request hook adds goes.

use std::time::Duration;

use crate::peer::{Peer, soon};
use futures_util::StreamExt;
use tidings_client::{
    Builder, Cause, Error, EventSource, HookError, Policy, ReconnectUrl, Request, Update,
};

/// Connects again at once.
fn quick(url: &str) -> Builder {
    EventSource::builder(url).reconnect(Policy {
        reconnection_time: Duration::ZERO,
        reconnection_time_min: Duration::ZERO,
        retries_max: Some(1),
        ..Policy::strict()
    })
}

/// With a token for whoever the caller named.
fn with_token(builder: Builder) -> Builder {
    builder.on_request(|mut attempt| async move {
        if !attempt.crossed_origin {
            let token = format!("Bearer {}", attempt.number);
            attempt.request.headers.insert("authorization", token.parse()?);
        }
        Ok(attempt.request)
    })
}

/// Reads until the source is closed, or the server's part of the test is over.
async fn follow<S: Future>(source: EventSource, server: S) -> S::Output {
    let mut updates = source.collect::<Vec<_>>();
    let mut server = std::pin::pin!(server);
    tokio::select! {
        _ = &mut updates => server.await,
        output = &mut server => output,
    }
}

#[tokio::test]
async fn each_attempt_has_a_fresh_token() {
    let peer = Peer::start().await;
    let source = with_token(quick(&peer.url("/"))).build().unwrap();
    follow(source, async {
        for token in ["Bearer 1", "Bearer 2"] {
            let mut exchange = peer.accept().await;
            assert_eq!(exchange.header("authorization"), Some(token));
            exchange.open().await;
            exchange.send("data: x\n\n").await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_hook_that_looks_where_it_goes_tells_no_other_origin_its_token() {
    for (reconnect_url, crosses) in [(ReconnectUrl::Current, true), (ReconnectUrl::Original, false)]
    {
        let (own, other) = (Peer::start().await, Peer::start().await);
        let builder = quick(&own.url("/")).reconnect_url(reconnect_url);
        let source = with_token(builder).build().unwrap();
        follow(source, async {
            let mut first = own.accept().await;
            assert_eq!(first.header("authorization"), Some("Bearer 1"));
            first.answer(302, &format!("location: {}\r\n", other.url("/")), "").await;
            let mut exchange = other.accept().await;
            assert_eq!(exchange.header("authorization"), None);
            exchange.open().await;
            exchange.send("data: x\n\n").await;
            drop(exchange);
            if crosses {
                assert_eq!(other.accept().await.header("authorization"), None);
            } else {
                assert_eq!(own.after(first).await.header("authorization"), Some("Bearer 2"));
            }
        })
        .await;
    }
}

#[tokio::test]
async fn its_error_is_told_at_each_attempt_and_at_the_last() {
    let mut source = quick(&crate::peer::nobody())
        .on_request(|_| async { Err::<Request, _>(HookError::retry("the vault is sealed")) })
        .build()
        .unwrap();
    let Some(Ok(Update::Disconnected(why))) = soon(source.next()).await else { panic!() };
    assert_eq!(why.cause, Cause::NotPrepared { is_final: false });
    assert!(why.to_string().contains("the vault is sealed"), "{why}");
    let Some(Err(error)) = soon(source.next()).await else { panic!() };
    assert!(matches!(error, Error::RetriesExhausted { retries: 1, .. }), "{error:?}");
    assert!(error.to_string().contains("the vault is sealed"), "{error}");
}

#[tokio::test]
async fn it_may_stop_the_source() {
    let mut source = quick(&crate::peer::nobody())
        .on_request(|_| async { Err::<Request, _>(HookError::stop("the account is closed")) })
        .build()
        .unwrap();
    let Some(Err(error)) = soon(source.next()).await else { panic!() };
    assert!(matches!(error, Error::NotPrepared(_)), "{error:?}");
    assert!(error.to_string().contains("the account is closed"), "{error}");
    assert!(soon(source.next()).await.is_none());
}
