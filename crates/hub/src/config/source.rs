//! The environment and the configuration file, read as if their values were flags.

use std::{ffi::OsString, path::Path};

use clap::{
    CommandFactory, Parser,
    error::{ContextKind, ContextValue},
};

use super::{ConfigError, Options, Origin};

const PREFIX: &str = "TIDINGS_";

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Flags {
    #[command(flatten)]
    options: Options,
}

/// The options that `TIDINGS_…` variables set. Empty ones count as absent.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Options, ConfigError> {
    let known = option_names();
    let written = |option: &str| format!("{PREFIX}{}", option.to_uppercase().replace('-', "_"));
    let mut pairs = Vec::new();
    for (name, value) in variables {
        // Names and values that are no text are looked at only if they are ours.
        let name = name.to_string_lossy();
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if value.is_empty() || is_of_kubernetes(rest, &value.to_string_lossy()) {
            continue;
        }
        let option = rest.to_lowercase().replace('_', "-");
        if !known.contains(&option) || *name != written(&option) {
            let nearest = nearest(&option, &known).map(|option| written(&option));
            let (origin, name) = (Origin::Environment, name.into_owned());
            return Err(ConfigError::Unknown { origin, name, nearest });
        }
        let value = value.into_string().map_err(|value| ConfigError::Value {
            origin: Origin::Environment,
            option: name.clone().into_owned(),
            // A URL of NATS may have a password.
            value: if option == "nats" {
                "…".into()
            } else {
                value.to_string_lossy().into_owned()
            },
            rule: "the value must be UTF-8".into(),
        })?;
        // A value of several lines often ends in an empty one.
        pairs.push((option, value.trim_end_matches('\n').to_owned()));
    }
    // The environment has no order of its own; errors should.
    pairs.sort();
    parse(&Origin::Environment, pairs, written)
}

/// Whether it is a variable that Kubernetes sets in every container for a service whose name begins
/// with "tidings": `TIDINGS_SERVICE_HOST`, `TIDINGS_SERVICE_PORT_HTTP`,
/// `TIDINGS_PORT=tcp://10.0.0.1:8080`, `TIDINGS_PORT_8080_TCP_ADDR`.
fn is_of_kubernetes(rest: &str, value: &str) -> bool {
    // As a name for the port to listen on it is to be refused, which is why the value counts.
    let is_port = (rest == "PORT" || rest.ends_with("_PORT")) && value.contains("://");
    is_port
        || rest.ends_with("SERVICE_HOST")
        || rest.contains("SERVICE_PORT")
        || rest.starts_with("PORT_")
        || rest.contains("_PORT_")
}

/// The options that a TOML file sets: a key an option, lists for those that can be repeated.
pub(super) fn file(path: &Path) -> Result<Options, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ConfigError::Unreadable { path: path.into(), cause })?;
    let origin = Origin::File(path.into());
    let table: toml::Table = toml::from_str(&text)
        .map_err(|cause| ConfigError::NotToml { path: path.into(), cause: Box::new(cause) })?;
    // A file does not name another one.
    let known: Vec<_> = option_names().into_iter().filter(|name| name != "config").collect();
    let written = |option: &str| option.replace('-', "_");
    let mut pairs = Vec::new();
    for (key, value) in table {
        let option = key.replace('_', "-");
        if !known.contains(&option) {
            let nearest = nearest(&option, &known).map(|option| written(&option));
            return Err(ConfigError::Unknown { origin, name: key, nearest });
        }
        let values = match value {
            toml::Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(switch) => switch.to_string(),
                other => {
                    let rule = "the value must be a string, a whole number or true or false".into();
                    let value = format!("a {}", other.type_str());
                    return Err(ConfigError::Value { origin, option: key, value, rule });
                }
            };
            pairs.push((option.clone(), text));
        }
    }
    parse(&origin, pairs, written)
}

fn parse(
    origin: &Origin,
    pairs: Vec<(String, String)>,
    written: impl Fn(&str) -> String,
) -> Result<Options, ConfigError> {
    let flags = pairs.iter().map(|(option, value)| format!("--{option}={value}"));
    Flags::try_parse_from(flags).map(|flags| flags.options).map_err(|error| {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            _ => String::new(),
        };
        // clap names the argument as in its help: `--heartbeat <DURATION>`.
        let argument = text(ContextKind::InvalidArg);
        let option = argument.trim_start_matches("--").split([' ', '=', '[']).next();
        ConfigError::Value {
            origin: origin.clone(),
            option: written(option.unwrap_or_default()),
            value: text(ContextKind::InvalidValue),
            rule: rule(&error),
        }
    })
}

fn rule(error: &clap::Error) -> String {
    if let Some(source) = std::error::Error::source(error) {
        return source.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => format!("the value must be {}", values.join(" or ")),
        _ => error.kind().to_string(),
    }
}

fn option_names() -> Vec<String> {
    Flags::command()
        .get_arguments()
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect()
}

fn nearest(name: &str, known: &[String]) -> Option<String> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 2 < candidate.len())
        .min()
        .map(|(_, candidate)| candidate.clone())
}
