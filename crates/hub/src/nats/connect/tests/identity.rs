//! Who the hub is: each way that NATS knows its users by.

use std::{io::Write as _, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{open, refusal, says, server, site, site_as};
use crate::nats::{Auth, Fault, Site};

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn a_user_with_a_password() {
    let password = r"h@:/,?#% ß";
    let config = format!("authorization {{ user: hub, password: {password:?} }}");
    let server = server(&config).await;
    let written = "hub:h%40%3A%2F%2C%3F%23%25%20%C3%9F";
    open(site_as(&server, written)).await.unwrap();

    let error = refusal(site_as(&server, "hub:hunter2")).await;
    assert_eq!(error.fault(), Fault::Refused);
    says(&error, &["uthorization", "the user and the password in --nats", &server.url()]);
    let error = refusal(site(&[server.url()])).await;
    says(&error, &["wants to know who that is", "USER:PASSWORD", "--nats-creds"]);
}

#[tokio::test]
async fn a_token() {
    let server = server("authorization { token: s3cr3t }").await;
    open(site_as(&server, "s3cr3t")).await.unwrap();
    let error = refusal(site_as(&server, "hunter2")).await;
    assert_eq!(error.fault(), Fault::Refused);
    says(&error, &["the token in --nats"]);
}

#[tokio::test]
async fn the_seed_of_an_nkey() {
    let (known, unknown) = (KeyPair::new_user(), KeyPair::new_user());
    let users = format!("authorization {{ users: [{{ nkey: {} }}] }}", known.public_key());
    let server = server(&users).await;
    let at = |file: &NamedTempFile| {
        let auth = Some(Auth::Nkey(file.path().into()));
        Site { auth, ..site(&[server.url()]) }
    };
    for text in [known.seed().unwrap(), format!("# the hub\n{}\n", known.seed().unwrap())] {
        open(at(&file(&text))).await.unwrap();
    }
    let error = refusal(at(&file(&unknown.seed().unwrap()))).await;
    assert_eq!(error.fault(), Fault::Refused);
    says(&error, &["uthorization", "--nats-nkey"]);
    let public = refusal(at(&file(&known.public_key()))).await;
    says(&public, &["--nats-nkey", "holds no seed", "nk -gen user"]);
    // As long as a seed, and none: its checksum is wrong.
    let broken = refusal(at(&file(&format!("SU{}", "A".repeat(56))))).await;
    assert_eq!(broken.fault(), Fault::Refused);
}

#[tokio::test]
async fn a_credentials_file() {
    let nation = Nation::new();
    let server = server(&nation.config()).await;
    let at = |path: &Path| {
        let auth = Some(Auth::Credentials(path.into()));
        Site { auth, ..site(&[server.url()]) }
    };
    open(at(file(&nation.creds(None)).path())).await.unwrap();

    for stranger in [Nation::new().creds(None), nation.creds(Some(1))] {
        let error = refusal(at(file(&stranger).path())).await;
        assert_eq!(error.fault(), Fault::Refused);
        says(&error, &["--nats-creds", "expired"]);
    }
    let error = refusal(at(file("hunter2").path())).await;
    says(&error, &["--nats-creds", "is not a credentials file"]);
    let error = refusal(at(Path::new("/nowhere/hub.creds"))).await;
    assert_eq!(error.fault(), Fault::Refused);
    says(&error, &["--nats-creds /nowhere/hub.creds could not be read"]);
}

/// An operator, its system account, and an account with JetStream.
struct Nation {
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

impl Nation {
    fn new() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
        }
    }

    /// A server that trusts the operator, and knows the accounts.
    fn config(&self) -> String {
        let operator = json!({ "type": "operator", "version": 2 });
        let operator = token(&self.operator, &self.operator, None, operator);
        let account = |key: &KeyPair, disk: i64| {
            let limits = json!({
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
                "wildcards": true, "conn": -1, "leaf": -1, "mem_storage": disk,
                "disk_storage": disk, "streams": disk, "consumer": disk,
            });
            let claims = json!({ "type": "account", "version": 2, "limits": limits });
            format!("{}: {}", key.public_key(), token(&self.operator, key, None, claims))
        };
        format!(
            "operator: {operator}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n{}\n\
             {}\n}}",
            self.system.public_key(),
            account(&self.system, 0),
            account(&self.account, -1)
        )
    }

    /// The file of a user of the account, as `nsc generate creds` writes it.
    fn creds(&self, expires: Option<u64>) -> String {
        let user = KeyPair::new_user();
        let claims = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
        let jwt = token(&self.account, &user, expires, claims);
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            user.seed().unwrap()
        )
    }
}

/// What `issuer` says of `subject`, signed.
fn token(issuer: &KeyPair, subject: &KeyPair, expires: Option<u64>, claims: Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let head = encode(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let mut body = json!({
        "jti": subject.public_key(), "iat": 1, "iss": issuer.public_key(), "name": "test",
        "sub": subject.public_key(), "nats": claims,
    });
    if let Some(expires) = expires {
        body["exp"] = expires.into();
    }
    let signed = format!("{head}.{}", encode(&body));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}
