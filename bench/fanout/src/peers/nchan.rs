//! nginx with the Nchan module as Debian has it, with a configuration of our own.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::load::Failure;
use crate::process::Process;

/// Where the module is, if it and nginx are installed.
pub fn module() -> Option<PathBuf> {
    let module = MODULES.iter().map(Path::new).find(|module| module.exists())?;
    Path::new(NGINX).exists().then(|| module.to_owned())
}

/// Installs both with Debian's packages.
pub fn install() -> Result<(), Failure> {
    if module().is_some() {
        return Ok(());
    }
    let status = Command::new("apt-get")
        .args(["install", "-y", "--no-install-recommends", "nginx-light", "libnginx-mod-nchan"])
        // In this run level no package starts its service.
        .envs([("RUNLEVEL", "1"), ("DEBIAN_FRONTEND", "noninteractive")])
        .status()?;
    match module() {
        Some(_) if status.success() => Ok(()),
        _ => Err("nginx and Nchan could not be installed: run apt-get update and try again".into()),
    }
}

/// Starts nginx with one worker.
pub fn start() -> Result<(Process, SocketAddr, TempDir), Failure> {
    let module = module().ok_or("nginx with Nchan is not installed: --install does it")?;
    let directory = TempDir::new()?;
    // nginx cannot say which port it was given, so that a free one is looked for.
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let file = directory.path().join("nginx.conf");
    std::fs::write(&file, configuration(&module, directory.path(), address))?;
    let (file, prefix) = (path(&file)?, path(directory.path())?);
    let log = directory.path().join("error.log");
    let arguments = ["-c", file, "-p", prefix, "-e", path(&log)?];
    let process = Process::start(Path::new(NGINX), &arguments)?;
    let begin = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begin.elapsed() > START_TIME_MAX {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("nginx did not start: {log}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok((process, address, directory))
}

/// The channel is in the query: matching paths would cost more than Nchan does. Each channel keeps
/// far more events than are ever missed here, for longer than a measurement takes.
fn configuration(module: &Path, directory: &Path, address: SocketAddr) -> String {
    let (module, directory) = (module.display(), directory.display());
    format!(
        "load_module {module};
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {directory}/nginx.pid;
error_log {directory}/error.log error;
events {{
    worker_connections 18000;
    multi_accept on;
}}
http {{
    access_log off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    nchan_shared_memory_size 1024M;
    server {{
        listen {address} backlog=4096;
        location = /sub {{
            nchan_subscriber eventsource;
            nchan_channel_id $arg_channel;
            nchan_subscriber_first_message newest;
        }}
        location = /pub {{
            nchan_publisher http;
            nchan_channel_id $arg_channel;
            nchan_message_buffer_length 10000;
            nchan_message_timeout 10m;
        }}
    }}
}}
"
    )
}

fn path(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| io::Error::other("TMPDIR is not UTF-8"))
}

const NGINX: &str = "/usr/sbin/nginx";
const MODULES: [&str; 2] =
    ["/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/share/nginx/modules/ngx_nchan_module.so"];
const START_TIME_MAX: Duration = Duration::from_secs(10);
