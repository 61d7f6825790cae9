//! What a stream must be like to be a hub's.

use std::{fmt::Display, time::Duration};

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::super::{
    OpenError, Site, Storage,
    error::{Difference, Differences},
};

/// The stream as a hub makes it.
pub(super) fn config(site: &Site, replicas: usize) -> Config {
    Config {
        name: site.stream.to_string(),
        description: Some("The events of a Tidings hub; the hub alone writes and deletes".into()),
        subjects: subjects(site),
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        storage: storage(site.storage),
        num_replicas: replicas,
        allow_direct: true,
        ..Config::default()
    }
}

/// Whether the stream that is there is one that a hub can use.
///
/// # Errors
/// [`OpenError::Differs`] names all that is different, and what mends it.
pub(super) fn check(site: &Site, found: &Config) -> Result<(), OpenError> {
    let mut differences = Vec::new();
    let mut check = |setting, found: String, needed: String, edit: Option<String>| {
        if found != needed {
            differences.push(Difference { setting, found, needed, edit });
        }
    };
    let edit = |flag: &str| Some(flag.to_owned());

    let list = |subjects: &[String]| format!("{subjects:?}");
    let needed = subjects(site);
    let mend = format!("--subjects '{}'", needed.join(","));
    check("subjects", list(&found.subjects), list(&needed), Some(mend));
    check("retention", retention(found.retention).into(), "limits".into(), None);
    check("storage", name(found.storage).into(), name(storage(site.storage)).into(), None);
    if let Some(replicas) = site.replicas {
        let (found, needed) = (found.num_replicas.to_string(), replicas.count().to_string());
        let mend = format!("--replicas {needed}");
        check("replicas", found, needed, Some(mend));
    }
    let discard = if found.discard == DiscardPolicy::New { "new" } else { "old" };
    check("discard", discard.into(), "new".into(), edit("--discard new"));

    // What a hub keeps is its own to say: a stream that drops messages by itself would tear holes.
    let unlimited = || "unlimited".to_owned();
    let limit = |found: i64| if found > 0 { found.to_string() } else { unlimited() };
    check("max_msgs", limit(found.max_messages), unlimited(), edit("--max-msgs=-1"));
    check("max_bytes", limit(found.max_bytes), unlimited(), edit("--max-bytes=-1"));
    let age = match found.max_age {
        Duration::ZERO => unlimited(),
        age => humantime::format_duration(age).to_string(),
    };
    check("max_age", age, unlimited(), edit("--max-age=-1"));
    let per_subject = limit(found.max_messages_per_subject);
    check("max_msgs_per_subject", per_subject, unlimited(), edit("--max-msgs-per-subject=-1"));
    let message = limit(found.max_message_size.into());
    check("max_msg_size", message, unlimited(), edit("--max-msg-size=-1"));
    check("max_consumers", limit(found.max_consumers.into()), unlimited(), None);

    let mut switch = |setting, found: bool, needed: bool, edit: Option<String>| {
        check(setting, found.to_string(), needed.to_string(), edit);
    };
    switch("allow_direct", found.allow_direct, true, edit("--allow-direct"));
    switch("no_ack", found.no_ack, false, edit("--ack"));
    switch("deny_delete", found.deny_delete, false, None);
    switch("deny_purge", found.deny_purge, false, None);
    switch("sealed", found.sealed, false, None);

    let mut none = |setting, found: Option<String>, edit: Option<String>| {
        check(setting, found.unwrap_or_else(|| "none".into()), "none".into(), edit);
    };
    let mirror = found.mirror.as_ref();
    none("mirror", mirror.map(|mirror| format!("the stream {}", mirror.name)), None);
    let sources = found.sources.as_deref().unwrap_or_default();
    let sources = sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    none("sources", Some(sources).filter(|names| !names.is_empty()), None);
    let arrow = |from: &dyn Display, to: &dyn Display| format!("{from} to {to}");
    let republish = found.republish.as_ref();
    let republish = republish.map(|it| arrow(&it.source, &it.destination));
    none("republish", republish, edit("--no-republish"));
    let transform = found.subject_transform.as_ref();
    let transform = transform.map(|it| arrow(&it.source, &it.destination));
    none("subject_transform", transform, edit("--no-transform"));

    if differences.is_empty() {
        return Ok(());
    }
    let differences = Differences(differences);
    Err(OpenError::Differs { stream: site.stream.clone(), differences })
}

fn subjects(site: &Site) -> Vec<String> {
    vec![format!("{}.>", site.stream)]
}

fn storage(storage: Storage) -> StorageType {
    match storage {
        Storage::File => StorageType::File,
        Storage::Memory => StorageType::Memory,
    }
}

fn name(storage: StorageType) -> &'static str {
    match storage {
        StorageType::File => "file",
        StorageType::Memory => "memory",
    }
}

fn retention(policy: RetentionPolicy) -> &'static str {
    match policy {
        RetentionPolicy::Limits => "limits",
        RetentionPolicy::Interest => "interest",
        RetentionPolicy::WorkQueue => "workqueue",
    }
}
