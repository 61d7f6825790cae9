//! Listeners are told what a browser's would be, in its order and in its states.

use std::sync::{Arc, Mutex, Weak};

use tidings_client::{Cause, Dispatch, EventSource, Handle, ListenerOptions, ReadyState, Update};

use crate::peer::updates::{both, disconnected, message, open, quick};
use crate::peer::{Peer, soon};
use crate::told::Told;

#[tokio::test]
async fn they_are_told_in_their_order_and_see_the_state_of_the_moment() {
    let peer = Peer::start().await;
    let source = quick(&peer.url("/")).build().unwrap();
    let (handle, told) = (source.handle(), Told::default());
    told.listen(&handle, "1", "open");
    told.listen(&handle, "1", "error");
    told.listen(&handle, "1", "message");
    let note = |who: &'static str| {
        let (told, on) = (told.clone(), handle.clone());
        move |dispatch: Dispatch<'_>| told.note(who, &on, dispatch)
    };
    handle.on_open(note("open"));
    handle.on_error(note("error"));
    handle.on_message({
        let told = told.clone();
        move |message| told.add(format!("replaced {}", message.data))
    });
    told.listen(&handle, "2", "message");
    told.listen(&handle, "2", "open");
    told.listen(&handle, "2", "error");
    told.listen(&handle, "2", "price");
    // It keeps its turn.
    handle.on_message({
        let told = told.clone();
        move |message| told.add(format!("message {}", message.data))
    });
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("data: a\n\nevent: price\ndata: b\n\n: no\nevent: open\ndata: c\n\n").await;
        exchange.send("event: error\ndata: d\n\nevent: Message\ndata: e\n\n").await;
        drop(exchange);
        peer.accept().await.answer(404, "", "").await;
    };
    let (error, ()) = both(soon(source.run()), server).await;
    assert_eq!(*error.unwrap_err().cause(), Cause::Status { status: 404, retry_after: None });
    assert_eq!(
        told.take(),
        [
            "1 Open open 200",
            "open Open open 200",
            "2 Open open 200",
            "1 Open message=a",
            "message a",
            "2 Open message=a",
            "2 Open price=b",
            "1 Open open=c",
            "open Open open=c",
            "2 Open open=c",
            "1 Open error=d",
            "error Open error=d",
            "2 Open error=d",
            "1 Connecting lost: the stream ended",
            "error Connecting lost: the stream ended",
            "2 Connecting lost: the stream ended",
            "1 Closed failed: the server answered with status 404, not 200; this is final",
            "error Closed failed: the server answered with status 404, not 200; this is final",
            "2 Closed failed: the server answered with status 404, not 200; this is final",
        ]
    );
    assert_eq!(handle.ready_state(), ReadyState::Closed);
}

#[tokio::test]
async fn they_may_come_and_go_while_they_are_told() {
    let peer = Peer::start().await;
    let source = quick(&peer.url("/")).build().unwrap();
    let (handle, told) = (source.handle(), Told::default());
    let doomed = Arc::new(Mutex::new(None));
    handle.add_event_listener_with("message", ListenerOptions::ONCE, {
        let (handle, told, doomed) = (handle.clone(), told.clone(), Arc::clone(&doomed));
        move |dispatch| {
            told.note("once", &handle, dispatch);
            told.listen(&handle, "added", "message");
            assert!(handle.remove_event_listener(doomed.lock().unwrap().take().unwrap()));
        }
    });
    *doomed.lock().unwrap() = Some(told.listen(&handle, "doomed", "message"));
    handle.on_message({
        let (handle, told) = (handle.clone(), told.clone());
        move |message| {
            told.add(format!("handler {}", message.data));
            handle.remove_on_message();
        }
    });
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("data: a\n\ndata: b\n\n").await;
        drop(exchange);
        peer.accept().await.answer(204, "", "").await;
    };
    both(soon(source.run()), server).await.0.unwrap_err();
    assert_eq!(told.take(), ["once Open message=a", "handler a", "added Open message=b"]);
}

#[tokio::test]
async fn one_that_closes_the_source_ends_it_after_the_event_in_hand() {
    let peer = Peer::start().await;
    let source = EventSource::new(peer.url("/")).unwrap();
    let (handle, told) = (source.handle(), Told::default());
    handle.add_event_listener("message", {
        let handle = handle.clone();
        move |_| {
            handle.close();
            handle.close();
        }
    });
    told.listen(&handle, "after", "message");
    told.listen(&handle, "after", "error");
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("data: 1\n\ndata: 2\n\nevent: error\ndata: 3\n\n").await;
        exchange.closed().await;
    };
    let (result, ()) = both(soon(source.run()), server).await;
    result.unwrap();
    assert_eq!(told.take(), ["after Closed message=1"]);
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn one_that_closes_the_source_at_its_opening_gets_no_message() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let (handle, told) = (source.handle(), Told::default());
    handle.on_open({
        let handle = handle.clone();
        move |_| handle.close()
    });
    told.listen(&handle, "after", "message");
    let client = async {
        // The stream yields what the listeners were told.
        assert!(matches!(soon(source.next()).await, Some(Ok(Update::Open(_)))));
        assert!(soon(source.next()).await.is_none());
        assert_eq!(source.ready_state(), ReadyState::Closed);
    };
    let server = async {
        let mut exchange = peer.accept().await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        exchange.send(format!("{head}data: 1\n\n")).await;
        exchange.closed().await;
    };
    both(client, server).await;
    assert_eq!(told.take(), [""; 0]);
}

#[tokio::test]
async fn one_that_closes_the_source_at_a_loss_keeps_it_from_connecting_again() {
    let peer = Peer::start().await;
    let source = quick(&peer.url("/")).build().unwrap();
    let (handle, told) = (source.handle(), Told::default());
    told.listen(&handle, "before", "error");
    handle.on_error({
        let handle = handle.clone();
        move |_| handle.close()
    });
    told.listen(&handle, "after", "error");
    let server = async { drop(peer.accept().await) };
    let (result, ()) = both(soon(source.run()), server).await;
    result.unwrap();
    let told = told.take();
    assert!(told[0].starts_with("before Connecting lost: the connection failed"), "{told:?}");
    assert!(told[1].starts_with("after Closed lost: the connection failed"), "{told:?}");
    assert_eq!(told.len(), 2);
    assert!(!peer.is_asked().await);
}

#[tokio::test]
async fn one_that_asks_for_another_connection_gets_it() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let handle = source.handle();
    handle.add_event_listener_with("message", ListenerOptions::ONCE, {
        let handle = handle.clone();
        move |_| handle.reconnect()
    });
    let client = async {
        open(&mut source).await;
        assert_eq!(message(&mut source).await.data, "1");
        assert_eq!(disconnected(&mut source).await.0, Cause::Asked);
        open(&mut source).await;
        // What the first connection still had comes from the second.
        assert_eq!(message(&mut source).await.data, "2");
    };
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n").await;
        exchange.closed().await;
        let mut exchange = peer.accept().await;
        assert_eq!(exchange.header("last-event-id"), Some("1"));
        exchange.open().await;
        exchange.send("id: 2\ndata: 2\n\n").await;
        exchange
    };
    both(client, server).await;
}

#[tokio::test]
async fn a_panic_in_one_stops_neither_the_others_nor_the_stream() {
    let peer = Peer::start().await;
    let source = quick(&peer.url("/")).build().unwrap();
    let (handle, told) = (source.handle(), Told::default());
    handle.on_message(|_| panic!("on purpose"));
    handle.on_open(|_| panic!("on purpose"));
    handle.on_error(|_| panic!("on purpose"));
    told.listen(&handle, "after", "message");
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange.send("data: 1\n\ndata: 2\n\n").await;
        drop(exchange);
        peer.accept().await.answer(404, "", "").await;
    };
    both(soon(source.run()), server).await.0.unwrap_err();
    assert_eq!(told.take(), ["after Open message=1", "after Open message=2"]);
}

#[tokio::test]
async fn they_go_with_the_source_and_so_does_what_they_hold() {
    let peer = Peer::start().await;
    let mut source = EventSource::new(peer.url("/")).unwrap();
    let handle = source.handle();
    // A listener that holds a handle on the source that holds it.
    let held = |handle: &Handle| -> Weak<()> {
        let (token, on) = (Arc::new(()), handle.clone());
        let weak = Arc::downgrade(&token);
        handle.add_event_listener("message", move |_| {
            _ = (&token, &on);
        });
        weak
    };
    let token = held(&handle);
    let server = async {
        let mut exchange = peer.accept().await;
        exchange.open().await;
        exchange
    };
    both(open(&mut source), server).await;
    assert!(token.upgrade().is_some());
    drop(source);
    assert!(token.upgrade().is_none());
    // Nor does what is added later stay for good.
    assert!(held(&handle).upgrade().is_none());
    // The same for a source that ran to its end.
    let source = EventSource::new(peer.url("/")).unwrap();
    let token = held(&source.handle());
    source.handle().close();
    soon(source.run()).await.unwrap();
    assert!(token.upgrade().is_none());
}
