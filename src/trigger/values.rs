//! One metadata value: from its text to a typed [`Value`], by the [`Kind`] that the key table names.
//!
//! Every error is the end of a message that starts with the key and the value.

use std::fmt::Write as _;

use jiff::tz::TimeZoneDatabase;
use reqwest::Url;

use super::keys::nearest;
use super::{aws, cut_offs, duration};
use crate::core::{CutOff, ServiceRate};

/// The type of a key's value, with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// One or several SQS queue URLs, comma-separated.
    QueueUrls,
    /// An http or https URL of a server.
    ServerUrl,
    /// An AWS region.
    Region,
    /// The ARN of an IAM role.
    RoleArn,
    /// `true` or `false`.
    Flag,
    /// A duration between two bounds, in seconds.
    Duration {
        /// Least.
        least: f64,
        /// Most.
        most: f64,
    },
    /// A whole number between two bounds.
    Whole {
        /// Least.
        least: u32,
        /// Most.
        most: u32,
    },
    /// A number from 0 on.
    Number {
        /// Whether 0 is allowed.
        zero: bool,
        /// Its unit, in words.
        unit: &'static str,
    },
    /// `learned`, or orders a minute and replica.
    ServiceRate,
    /// Carrier cut-offs.
    CutOffs,
    /// An IANA time zone.
    TimeZone,
    /// One of several words.
    Choice(&'static [&'static str]),
    /// A `PromQL` expression.
    Query,
    /// Mimir's tenant.
    Tenant,
    /// The name of a Kubernetes object.
    ObjectName,
}

/// A value that is right.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Texts(Vec<String>),
    Text(String),
    Flag(bool),
    Number(f64),
    Whole(u32),
    ServiceRate(ServiceRate),
    CutOffs(Vec<CutOff>),
}

/// Most of anything that is counted as a plain number; far beyond any fulfilment centre.
const MOST_NUMBER: f64 = 1e9;
/// Most replicas-a-minute figure that still is one worker's rate.
const MOST_SERVICE_RATE: f64 = 100_000.0;
const LONGEST_QUERY: usize = 4096;

impl Kind {
    /// What may be written, for the documentation.
    pub fn values(self) -> String {
        match self {
            Self::QueueUrls => "URL, or several with commas between them".to_owned(),
            Self::ServerUrl => "http or https URL".to_owned(),
            Self::Region => "AWS region".to_owned(),
            Self::RoleArn => "ARN of an IAM role".to_owned(),
            Self::Flag => "true, false".to_owned(),
            Self::Duration { least, most } => {
                format!("seconds or a duration, {} to {}", duration::format(least), duration::format(most))
            }
            Self::Whole { least, most } => format!("whole number, {least} to {most}"),
            Self::Number { zero, unit } => {
                format!("{unit}, {}", if zero { "0 or more" } else { "more than 0" })
            }
            Self::ServiceRate => "learned, or orders a minute and replica".to_owned(),
            Self::CutOffs => "carrier, days and time+window, with ; between them".to_owned(),
            Self::TimeZone => "IANA time zone".to_owned(),
            Self::Choice(words) => words.join(", "),
            Self::Query => "PromQL".to_owned(),
            Self::Tenant => "tenant id".to_owned(),
            Self::ObjectName => "name of a Kubernetes object".to_owned(),
        }
    }

    /// Reads a value of this kind.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        if text.is_empty() {
            return Err("is empty; give it a value or leave the key out".to_owned());
        }
        match self {
            Self::QueueUrls => aws::parse_queue_urls(text).map(Value::Texts),
            Self::ServerUrl => parse_server_url(text).map(Value::Text),
            Self::Region => aws::parse_region(text).map(Value::Text),
            Self::RoleArn => aws::parse_role_arn(text).map(Value::Text),
            Self::Flag => parse_flag(text).map(Value::Flag),
            Self::Duration { least, most } => parse_bounded_duration(text, least, most).map(Value::Number),
            Self::Whole { least, most } => parse_whole(text, least, most).map(Value::Whole),
            Self::Number { zero, unit } => parse_number(text, zero, unit, MOST_NUMBER).map(Value::Number),
            Self::ServiceRate => parse_service_rate(text).map(Value::ServiceRate),
            Self::CutOffs => cut_offs::parse(text).map(Value::CutOffs),
            Self::TimeZone => parse_time_zone(text).map(Value::Text),
            Self::Choice(words) => parse_choice(text, words).map(Value::Text),
            Self::Query => parse_query(text).map(Value::Text),
            Self::Tenant => parse_tenant(text).map(Value::Text),
            Self::ObjectName => parse_object_name(text).map(Value::Text),
        }
    }
}

/// KEDA reads booleans with Go's `ParseBool`; these are its words.
fn parse_flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "True" | "TRUE" | "t" | "T" | "1" => Ok(true),
        "false" | "False" | "FALSE" | "f" | "F" | "0" => Ok(false),
        _ => Err("is neither true nor false; write \"true\" or \"false\"".to_owned()),
    }
}

fn parse_bounded_duration(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let seconds = duration::parse(text)?;
    if seconds < least {
        return Err(format!("is too short; write at least {}", duration::format(least)));
    }
    if seconds > most {
        return Err(format!("is too long; write at most {}", duration::format(most)));
    }
    Ok(seconds)
}

fn parse_whole(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let right = format!("write a whole number from {least} to {most}");
    if text.strip_prefix('-').and_then(duration::decimal).is_some() {
        return Err(format!("is negative; {right}"));
    }
    let number = duration::decimal(text).ok_or_else(|| format!("is not a whole number; {right}"))?;
    if number.fract() != 0.0 || text.contains('.') {
        return Err(format!("has a fraction; {right}"));
    }
    if number < f64::from(least) {
        return Err(format!("is too small; {right}"));
    }
    let whole = text.parse().ok().filter(|whole| *whole <= most);
    whole.ok_or_else(|| format!("is too large; {right}"))
}

fn parse_number(text: &str, zero: bool, unit: &str, most: f64) -> Result<f64, String> {
    let right = format!("write {unit} as a number like 20 or 0.5");
    if text.strip_prefix('-').and_then(duration::decimal).is_some() {
        return Err(format!("is negative; {right}"));
    }
    let Some(number) = duration::decimal(text) else {
        let comma = duration::decimal(&text.replace(',', "")).is_some();
        return Err(format!("{}; {right}", if comma { "has a comma in it" } else { "is not a number" }));
    };
    if number == 0.0 && !zero {
        return Err(format!("must be above 0; {right}"));
    }
    if number > most {
        return Err(format!("is too large; {right}, at most {most}"));
    }
    Ok(number)
}

fn parse_service_rate(text: &str) -> Result<ServiceRate, String> {
    if text == "learned" {
        return Ok(ServiceRate::Learned);
    }
    let per_minute = parse_number(text, false, "orders a minute and replica", MOST_SERVICE_RATE);
    per_minute.map(ServiceRate::PerMinute).map_err(|message| format!("{message}, or learned"))
}

fn parse_choice(text: &str, words: &[&'static str]) -> Result<String, String> {
    if words.contains(&text) {
        return Ok(text.to_owned());
    }
    let mut message = format!("is not one of {}", words.join(", "));
    if let Some(word) = nearest(text, words.iter().copied()) {
        let _ = write!(message, "; did you mean {word}?");
    }
    Err(message)
}

fn parse_time_zone(text: &str) -> Result<String, String> {
    // The bundled database, so that the same metadata is right or wrong on every machine.
    let database = TimeZoneDatabase::bundled();
    if let Some(name) = database.get(text).ok().and_then(|zone| zone.iana_name().map(str::to_owned)) {
        return Ok(name);
    }
    let names: Vec<String> = database.available().map(|name| name.as_str().to_owned()).collect();
    let close = nearest(text, names.iter().map(String::as_str));
    // A bare city is what most people try first.
    let city = || {
        names.iter().find(|name| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(text)))
    };
    match close.map(str::to_owned).or_else(|| city().cloned()) {
        Some(name) => Err(format!("is not an IANA time zone; did you mean {name}?")),
        None => Err("is not an IANA time zone; write it like Europe/Prague or UTC".to_owned()),
    }
}

/// Reads an http or https URL with a host and without credentials; messages end in what is `right`.
pub(crate) fn parse_url(text: &str, right: &str) -> Result<Url, String> {
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => return Err(format!("is not an http or https URL; {right}")),
    };
    // The parser takes one slash for two, and a third for none; what reads the URL later does not.
    let has_host = text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.eq_ignore_ascii_case(url.scheme()) && !rest.starts_with(['/', '\\'])
    });
    if !has_host {
        return Err(format!("has not two slashes before its host, as {}://HOST has; {right}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("has a user or password in it, which everybody could read; {right}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("has a part after ? or #, which is not used; {right}"));
    }
    Ok(url)
}

fn parse_server_url(text: &str) -> Result<String, String> {
    parse_url(text, "write it like http://prometheus.monitoring:9090")?;
    Ok(text.to_owned())
}

/// Catches what a slip of the hand leaves; the server that answers knows the language.
fn parse_query(text: &str) -> Result<String, String> {
    if text.len() > LONGEST_QUERY {
        return Err(format!("is {} bytes long; the most is {LONGEST_QUERY}", text.len()));
    }
    if text.contains("$__") || text.contains("{{") {
        return Err(
            "has a variable of Grafana or Helm in it; write a window like [2m] in its place".to_owned()
        );
    }
    let mut open = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    for character in text.chars() {
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(mark), _) if mark == character => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(character),
            (None, '(' | '[' | '{') => open.push(character),
            (None, ')' | ']' | '}') => {
                let partner = open.pop();
                if !matches!((partner, character), (Some('('), ')') | (Some('['), ']') | (Some('{'), '}')) {
                    return Err(format!("has a {character} that closes nothing; mend the query's brackets"));
                }
            }
            (Some(_) | None, _) => {}
        }
    }
    match (quote, open.pop()) {
        (Some(mark), _) => Err(format!("has a {mark} that is never closed; mend the query's quotes")),
        (None, Some(bracket)) => {
            Err(format!("has a {bracket} that is never closed; mend the query's brackets"))
        }
        (None, None) => Ok(text.to_owned()),
    }
}

fn parse_tenant(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!-_.*'()|".contains(&byte);
    if text.len() <= 150 && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("is not a tenant id; write up to 150 letters, digits and !-_.*'(), several with | between them"
        .to_owned())
}

fn parse_object_name(text: &str) -> Result<String, String> {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let middle =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let sound = text.len() <= 253
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text.bytes().all(middle)
        && !text.contains("..");
    if sound {
        return Ok(text.to_owned());
    }
    Err("is not a Kubernetes name; write small letters, digits, - and ., like packing-room".to_owned())
}
