use std::io::Write as _;

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    options: Options,
}

fn flags(arguments: &[&str]) -> Options {
    Program::try_parse_from([&["tidings"], arguments].concat()).unwrap().options
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load_file(text: &str) -> Result<Config, ConfigError> {
    let file = file(text);
    Config::load(flags(&["--config", file.path().to_str().unwrap()]), [])
}

#[test]
fn without_anything_set_the_defaults_hold() {
    assert_eq!(Config::load(Options::default(), []).unwrap(), Config::default());
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = file("heartbeat = '1s'\nretry = '1s'\ndrain = '1s'\ncors_origin = ['http://file']");
    let path = file.path().to_str().unwrap();
    let config = Config::load(
        flags(&["--heartbeat", "3s", "--cors-origin", "https://flag.example:443"]),
        variables(&[
            ("TIDINGS_CONFIG", path),
            ("TIDINGS_HEARTBEAT", "2s"),
            ("TIDINGS_RETRY", "2s"),
            ("TIDINGS_CORS_ORIGIN", "http://env,http://other"),
            ("TIDINGS_DATA", ""),
            ("HEARTBEAT", "9s"),
        ]),
    )
    .unwrap();
    let seconds = [config.heartbeat, config.retry, config.timeouts.drain].map(|d| d.as_secs());
    assert_eq!(seconds, [3, 2, 1]);
    assert_eq!(config.cors_origins, [CorsOrigin::Exact("https://flag.example".into())]);
}

#[test]
fn a_file_is_written_as_one_would_write_it() {
    let config = load_file(
        "listen = 'localhost:0'\nmemory = true\nhistory_events = 10\nhistory_bytes = '2 MiB'\n\
         durability = 'os'\nhistory-age = '7d'\nmetrics = false\n\
         idempotency_keys = 500\nidempotency_age = '1h'\n\
         cors_origin = ['https://a.example', 'https://b.example']\n",
    )
    .unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:0");
    assert_eq!(config.store, Store::Memory);
    assert_eq!(config.retention.records_max, 10);
    assert_eq!(config.retention.bytes_max, 2 << 20);
    assert_eq!((config.key_window.keys_max, config.key_window.age_max.as_secs()), (500, 3_600));
    assert!(!config.metrics);
    assert_eq!(config.cors_origins.len(), 2);
}

#[test]
fn names_that_no_option_has_are_refused_with_the_nearest() {
    let error = load_file("hartbeat = '1s'").unwrap_err().to_string();
    assert!(
        error.contains("has hartbeat") && error.ends_with("did you mean heartbeat?"),
        "{error}"
    );
    let error = Config::load(Options::default(), variables(&[("TIDINGS_LISTN", "x")])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the environment has TIDINGS_LISTN, which no option is called; \
         did you mean TIDINGS_LISTEN?"
    );
    let error = Config::load(Options::default(), variables(&[("TIDINGS_Listen", "x")]));
    assert!(matches!(error, Err(ConfigError::Unknown { .. })));
    assert!(matches!(load_file("config = 'other'"), Err(ConfigError::Unknown { .. })));
}

#[test]
fn what_kubernetes_sets_for_a_service_is_passed_over() {
    let service = [
        ("TIDINGS_SERVICE_HOST", "10.0.0.1"),
        ("TIDINGS_SERVICE_PORT", "8080"),
        ("TIDINGS_SERVICE_PORT_HTTP", "8080"),
        ("TIDINGS_PORT", "tcp://10.0.0.1:8080"),
        ("TIDINGS_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("TIDINGS_PORT_8080_TCP_PROTO", "tcp"),
        ("TIDINGS_PORT_8080_TCP_PORT", "8080"),
        ("TIDINGS_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("TIDINGS_HUB_SERVICE_HOST", "10.0.0.2"),
        ("TIDINGS_HUB_PORT", "tcp://10.0.0.2:80"),
        ("TIDINGS_HUB_PORT_80_TCP", "tcp://10.0.0.2:80"),
    ];
    assert_eq!(Config::load(Options::default(), variables(&service)).unwrap(), Config::default());
    // This one means to set something.
    let error = Config::load(Options::default(), variables(&[("TIDINGS_PORT", "9000")]));
    assert!(matches!(error, Err(ConfigError::Unknown { .. })));
}

#[test]
fn bad_values_name_the_option_its_origin_and_the_rule() {
    let error = Config::load(Options::default(), variables(&[("TIDINGS_HEARTBEAT", "15")]));
    assert_eq!(
        error.unwrap_err().to_string(),
        "TIDINGS_HEARTBEAT = \"15\" in the environment: a duration is a number with a unit, \
         such as 500ms, 15s, 5m, 12h or 7d"
    );
    for (text, rule) in [
        ("durability = 'sometimes'", "the value must be fsync or os"),
        ("topic_bytes_max = 513", "the number must be from 1 to 512"),
        ("idempotency_keys = 0", "the number must be from 1 to"),
        ("heartbeat = '2h'", "the duration must be from 1s to 1h"),
        ("listen = '8080'", "an address is an IP address and a port"),
        ("cors_origin = 'example.com'", "an origin is a scheme and a host"),
        ("cors_origin = 'https://example.com/path'", "an origin is a scheme and a host"),
        ("public_url = 'ftp://x'", "must begin with http://"),
        ("history_bytes = '64 mib'", "a size is a number of bytes"),
        ("retry = 1.5", "must be a string, a whole number"),
    ] {
        let error = load_file(text).unwrap_err().to_string();
        let option = text.split(' ').next().unwrap();
        assert!(error.starts_with(option) && error.contains(rule), "{text}: {error}");
    }
    assert!(matches!(load_file("a = ["), Err(ConfigError::NotToml { .. })));
}

#[test]
fn rules_for_topics_may_be_given_several_times_everywhere() {
    let rules = ["pattern=sensors/* events=1000 bytes=10MiB age=1h", "topic=my room events=1"];
    let flagged =
        Config::load(flags(&["--history-of", rules[0], "--history-of", rules[1]]), []).unwrap();
    let lines = format!("{}\n{}\n", rules[0], rules[1]);
    let set = Config::load(Options::default(), variables(&[("TIDINGS_HISTORY_OF", &lines)]));
    let filed = load_file(&format!("history_of = {rules:?}")).unwrap();
    assert_ne!(flagged, Config::default());
    assert_eq!((&set.unwrap(), &filed), (&flagged, &flagged));
    let one = Config::load(flags(&["--history-of", rules[0]]), []).unwrap();
    assert_ne!(one, flagged);

    let error = load_file("history_of = ['topic=a events=1', 'topic=b age=5']").unwrap_err();
    assert_eq!(
        error.to_string().replace(&file_name(&error), "FILE"),
        "history_of = \"topic=b age=5\" in the configuration file FILE: age=5: a duration is a \
         number with a unit, such as 500ms, 15s, 5m, 12h or 7d"
    );
    let many = vec!["topic=a events=1"; 101].join("\n");
    let error = Config::load(flags(&["--history-of", &many]), []).unwrap_err();
    assert!(matches!(error, ConfigError::TooManyRules { count: 101 }), "{error}");
}

fn file_name(error: &ConfigError) -> String {
    match error {
        ConfigError::Value { origin: Origin::File(path), .. } => path.display().to_string(),
        other => panic!("{other}"),
    }
}

#[test]
fn an_address_that_others_can_reach_must_be_wanted() {
    let error = Config::load(flags(&["--listen", "0.0.0.0:80"]), []).unwrap_err();
    assert!(error.to_string().contains("--insecure-open"), "{error}");
    assert!(Config::load(flags(&["--listen", "[::1]:80"]), []).is_ok());
    assert!(Config::load(flags(&["--listen", "0.0.0.0:80", "--insecure-open"]), []).is_ok());
    assert!(Config::load(flags(&["--memory", "--data", "x"]), []).is_err());
}

#[test]
fn a_certificate_and_its_key_are_given_together_anywhere() {
    let (cert, key) = (PathBuf::from("c.pem"), PathBuf::from("k.pem"));
    let tls = Some(TlsFiles { cert, key });
    let flagged = Config::load(flags(&["--tls-cert", "c.pem", "--tls-key", "k.pem"]), []).unwrap();
    assert_eq!((&flagged.tls, flagged.scheme()), (&tls, Scheme::Https));
    assert_eq!(load_file("tls_cert = 'c.pem'\ntls_key = 'k.pem'").unwrap().tls, tls);
    let half = variables(&[("TIDINGS_TLS_KEY", "k.pem")]);
    assert_eq!(Config::load(flags(&["--tls-cert", "c.pem"]), half.clone()).unwrap().tls, tls);
    for (error, text) in [
        (Config::load(flags(&["--tls-cert", "c.pem"]), []), "--tls-cert is set, and --tls-key is"),
        (Config::load(flags(&[]), half), "--tls-key is set, and --tls-cert is not"),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(text) && error.contains("both, or neither"), "{error}");
    }
}

#[test]
fn the_demos_run_where_only_this_machine_can_reach_them() {
    let demo = |arguments: &[&str], environment: &[(&str, &str)]| {
        Config::load(flags(arguments), variables(environment)).unwrap().demo
    };
    assert!(demo(&[], &[]) && demo(&["--listen", "[::1]:80"], &[]));
    assert!(!demo(&["--no-demo"], &[]) && !demo(&[], &[("TIDINGS_NO_DEMO", "true")]));
    assert!(!load_file("no_demo = true").unwrap().demo);
    let open = ["--listen", "0.0.0.0:80", "--insecure-open"];
    assert!(!demo(&open, &[]));
    assert!(demo(&[&open[..], &["--no-demo=false"]].concat(), &[]));
}

#[test]
fn memory_keeps_less_by_default() {
    assert_eq!(Config::load(flags(&["--memory"]), []).unwrap().retention.bytes_max, 64 << 20);
}

#[test]
fn nats_is_told_of_anywhere() {
    let site = |config: Result<Config, ConfigError>| match config.unwrap().store {
        Store::Nats { site, new_epoch, change_limits } => (*site, new_epoch, change_limits),
        other => panic!("{other:?}"),
    };
    let (least, new_epoch, change_limits) = site(Config::load(flags(&["--nats", "a"]), []));
    assert_eq!(least.to_string(), "nats://a:4222 stream tidings");
    assert_eq!((least.replicas, least.wait.as_secs()), (None, 10));
    assert!(!new_epoch && !change_limits);

    let flagged = site(Config::load(
        flags(&[
            "--nats",
            "nats://a,tls://b",
            "--nats-stream",
            "s",
            "--nats-replicas",
            "3",
            "--nats-storage",
            "memory",
            "--nats-creds",
            "c",
            "--nats-ca",
            "ca",
            "--nats-cert",
            "cert",
            "--nats-key",
            "key",
            "--nats-wait",
            "0s",
            "--new-epoch",
            "--nats-change-limits",
        ]),
        [],
    ));
    assert_eq!(flagged.0.to_string(), "nats://a:4222,tls://b:4222 stream s");
    assert_eq!(flagged.0.tls.client, Some(("cert".into(), "key".into())));
    let set = site(Config::load(
        Options::default(),
        variables(&[
            ("TIDINGS_NATS", "nats://a,tls://b"),
            ("TIDINGS_NATS_STREAM", "s"),
            ("TIDINGS_NATS_REPLICAS", "3"),
            ("TIDINGS_NATS_STORAGE", "memory"),
            ("TIDINGS_NATS_CREDS", "c"),
            ("TIDINGS_NATS_CA", "ca"),
            ("TIDINGS_NATS_CERT", "cert"),
            ("TIDINGS_NATS_KEY", "key"),
            ("TIDINGS_NATS_WAIT", "0s"),
            ("TIDINGS_NEW_EPOCH", "true"),
            ("TIDINGS_NATS_CHANGE_LIMITS", "true"),
        ]),
    ));
    let filed = site(load_file(
        "nats = ['nats://a', 'tls://b']\nnats_stream = 's'\nnats_replicas = 3\n\
         nats_storage = 'memory'\nnats_creds = 'c'\nnats_ca = 'ca'\nnats_cert = 'cert'\n\
         nats_key = 'key'\nnats_wait = '0s'\nnew_epoch = true\nnats_change_limits = true",
    ));
    assert_eq!((&set, &filed), (&flagged, &flagged));
}

#[test]
fn with_nats_the_defaults_are_what_several_hubs_can_keep() {
    let load = |more: &[&str]| Config::load(flags(&[&["--nats", "a"], more].concat()), []).unwrap();
    let config = load(&[]);
    assert!(!config.demo && load(&["--no-demo=false"]).demo);
    assert_eq!(config.retention, Config::default().retention);
    let bytes = |config: &Config| (config.limits.body_bytes_max, config.limits.data_bytes_max);
    assert_eq!(bytes(&config), (992 << 10, 992 << 10));
    assert_eq!(bytes(&load(&["--body-bytes-max", "4MiB"])), (4 << 20, 992 << 10));
}

#[test]
fn what_nats_cannot_be_told_is_refused() {
    for (arguments, why) in [
        (&["--nats", "a", "--memory"][..], "--nats and --memory exclude each other"),
        (&["--nats", "a", "--data", "d"], "--nats and --data exclude each other"),
        (&["--nats", "a", "--durability", "os"], "sync_interval"),
        (&["--nats", "a", "--nats-creds", "c", "--nats-nkey", "k"], "exclude each other"),
        (&["--nats", "u:hunter2@a", "--nats-creds", "c"], "--nats-creds says who the hub is, too"),
        (&["--nats", "hunter2@a", "--nats-nkey", "k"], "--nats-nkey says who the hub is, too"),
        (&["--nats", "a", "--nats-cert", "c"], "--nats-cert is set, and --nats-key is not"),
        (&["--nats", "a", "--nats-key", "k"], "--nats-key is set, and --nats-cert is not"),
        (&["--nats-stream", "s"], "--nats-stream is set, and --nats is not"),
        (&["--memory", "--nats-wait", "1s"], "--nats-wait is set, and --nats is not"),
        (&["--nats", ""], "--nats: there is no URL"),
        (&["--nats", "http://u:hunter2@a"], "--nats: URL 1 begins with http://"),
        (&["--nats", "a", "--nats", "nats://u:hunter2"], "--nats: URL 2 is none"),
    ] {
        let error = Config::load(flags(arguments), []).unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("hunter2"), "{text}");
        }
        assert!(error.to_string().contains(why), "{arguments:?}: {error}");
    }
    for (text, rule) in [
        ("nats_replicas = 2", "a stream is kept on 1, 3 or 5 servers"),
        ("nats_stream = 'a.b'", "a stream's name has 1 to 32"),
        ("nats_storage = 'disk'", "the value must be file or memory"),
    ] {
        let error = load_file(text).unwrap_err().to_string();
        assert!(error.contains(rule), "{text}: {error}");
    }
    let shown = format!("{:?}", flags(&["--nats", "nats://u:hunter2@a"]));
    assert!(!shown.contains("hunter2"), "{shown}");
    let config = Config::load(flags(&["--nats", "nats://u:hunter2@a"]), []).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

#[cfg(unix)]
#[test]
fn a_password_that_is_no_text_is_not_repeated() {
    use std::os::unix::ffi::OsStringExt as _;
    let value = OsString::from_vec(b"nats://u:hunter2\xff@a".to_vec());
    let error = Config::load(Options::default(), [("TIDINGS_NATS".into(), value)]).unwrap_err();
    assert!(error.to_string().contains("TIDINGS_NATS"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
