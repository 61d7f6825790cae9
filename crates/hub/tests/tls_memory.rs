//! What an idle follower over TLS costs the hub, beside what its TLS session costs alone.
//!
//! It is for a person to read, and so it is ignored by default:
//! `cargo test --release -p tidings-hub --test tls_memory -- --ignored --nocapture memory`

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use rcgen::generate_simple_self_signed;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::NoServerSessionStorage,
};
use tidings_hub::{
    config::{Config, TlsFiles},
    serve::Server,
};
use tidings_server::log::MemoryLog;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const CONNECTIONS: usize = 2_000;
// What a peer may cost beside its session.
const BYTES_MAX: usize = 2 << 10;
const ADDRESS: &str = "TLS_MEMORY_ADDRESS";
const ROOT: &str = "TLS_MEMORY_ROOT";
const REQUEST: &str = "TLS_MEMORY_REQUEST";

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// The other side, in a process of its own: so many connections, each with this request.
struct Clients {
    process: Child,
    // Kept open, so that it can say how it ends.
    output: Lines<BufReader<ChildStdout>>,
}

impl Clients {
    fn start(address: SocketAddr, root: &TlsFiles, request: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "clients"])
            .env(ADDRESS, address.to_string())
            .env(ROOT, &root.cert)
            .env(REQUEST, request)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let connected = output.any(|line| line.unwrap().ends_with("connected"));
        assert!(connected, "the clients are connected");
        Self { process, output }
    }

    fn end(mut self) {
        drop(self.process.stdin.take());
        let output: Vec<_> = self.output.map_while(Result::ok).collect();
        assert!(self.process.wait().unwrap().success(), "{output:?}");
    }
}

/// What each connection costs this process, and the connections, for as long as they are to last:
/// what they leave behind would hide what others cost.
async fn bytes_each(address: SocketAddr, files: &TlsFiles, request: &str) -> (usize, Vec<Clients>) {
    let (mut bytes, mut all) = (0, Vec::new());
    // The first round pays for what is made once.
    for _ in 0..2 {
        let before = resident_bytes();
        let (files, request) = (files.clone(), request.to_owned());
        let start = move || Clients::start(address, &files, &request);
        all.push(tokio::task::spawn_blocking(start).await.unwrap());
        bytes = resident_bytes().saturating_sub(before) / CONNECTIONS;
    }
    (bytes, all)
}

/// Serves nothing but sessions, as the hub has them, each in the smallest task.
async fn serve_sessions(listener: TcpListener, files: TlsFiles) {
    let chain = vec![CertificateDer::from_pem_file(files.cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(files.key).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ring::Ticketer::new().unwrap();
    config.send_tls13_tickets = 1;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let small = |session: &mut rustls::ServerConnection| {
            session.set_buffer_limit(Some(16 << 10));
        };
        let mut session = Box::new(acceptor.accept_with(stream, small).await.unwrap());
        session.write_all(b".").await.unwrap();
        tokio::spawn(async move { session.read_u8().await });
    }
}

#[tokio::test]
#[ignore = "it takes thousands of connections, and its figures are for a person"]
async fn memory() {
    let dir = tempfile::tempdir().unwrap();
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
    fs::write(&files.cert, made.cert.pem()).unwrap();
    fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();

    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let sessions = tokio::spawn(serve_sessions(listener, files.clone()));
    let (session, mut clients) = bytes_each(address, &files, "").await;

    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config { listen, tls: Some(files.clone()), ..Config::default() };
    let log = Arc::new(MemoryLog::new(config.retention, 1));
    let server = Server::bind(config, log).await.unwrap();
    let address = server.address();
    let (leave, told) = oneshot::channel::<()>();
    let hub = tokio::spawn(server.run(async { drop(told.await) }));
    let request = "GET /events/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (follower, more) = bytes_each(address, &files, request).await;

    println!(
        "an idle follower over TLS: {follower} bytes, of which its session is {session} and the \
         rest {}",
        follower.saturating_sub(session)
    );
    clients.extend(more);
    tokio::task::spawn_blocking(move || clients.into_iter().for_each(Clients::end)).await.unwrap();
    sessions.abort();
    drop(leave);
    hub.await.unwrap();
    assert!(follower < session + BYTES_MAX, "{follower} is much more than {session}");
}

#[tokio::test]
#[ignore = "the other one runs it in a process of its own"]
async fn clients() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let root = CertificateDer::from_pem_file(std::env::var(ROOT).unwrap()).unwrap();
    let request = std::env::var(REQUEST).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(&address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut session = connector.connect(name, stream).await.unwrap();
        if request.is_empty() {
            // The server says when it has done its part.
            assert_eq!(session.read_u8().await.unwrap(), b'.');
        } else {
            session.write_all(request.as_bytes()).await.unwrap();
            let mut text = Vec::new();
            while !text.ends_with(b"}\n\n\r\n") {
                text.push(session.read_u8().await.unwrap());
            }
        }
        open.push(session);
    }
    println!("connected");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}
