//! AWS's names: queue URLs, regions, role ARNs, and what one tells of another.

use reqwest::Url;

use super::problem::{list_wrong, shortened};
use super::values::parse_url;

const MOST_QUEUES: usize = 20;
const QUEUE_EXAMPLE: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";

/// Reads one or several queue URLs.
pub(crate) fn parse_queue_urls(text: &str) -> Result<Vec<String>, String> {
    let mut urls: Vec<String> = Vec::new();
    let mut wrong = Vec::new();
    for entry in text.split(',').map(str::trim) {
        if entry.is_empty() {
            wrong.push((entry, "is empty; write URLs with one comma between them".to_owned()));
        } else if urls.iter().any(|url| url == entry) {
            wrong.push((entry, "is there twice, so its orders would be counted twice; keep one".to_owned()));
        } else if let Err(message) = check_queue_url(entry) {
            wrong.push((entry, message));
        } else {
            urls.push(entry.to_owned());
        }
        if urls.len() + wrong.len() > MOST_QUEUES {
            return Err(format!("has more than {MOST_QUEUES} queues"));
        }
    }
    if wrong.is_empty() { Ok(urls) } else { Err(list_wrong(text, wrong)) }
}

fn check_queue_url(text: &str) -> Result<(), String> {
    if let Some(url) = url_of_queue_arn(text) {
        return Err(format!("is an ARN; write {}", shortened(&url)));
    }
    let url = parse_url(text, &format!("write the queue's URL in full, like {QUEUE_EXAMPLE}"))?;
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    let name = segments.last().copied().unwrap_or_default();
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let sound_name = !stem.is_empty()
        && name.len() <= 80
        && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !sound_name {
        return Err(format!("does not end in a queue's name; write it like {QUEUE_EXAMPLE}"));
    }
    let account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_aws_host(url.host_str().unwrap_or_default()) && !(segments.len() == 2 && account(segments[0])) {
        return Err(format!(
            "has no account of 12 digits before the queue's name; write it like {QUEUE_EXAMPLE}"
        ));
    }
    Ok(())
}

fn url_of_queue_arn(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        ["arn", partition, "sqs", region, account, name] => {
            let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
            Some(format!("https://sqs.{region}.{suffix}/{account}/{name}"))
        }
        _ => None,
    }
}

/// Whether a host is one of AWS's own.
pub(crate) fn is_aws_host(host: &str) -> bool {
    [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"]
        .iter()
        .any(|suffix| host.ends_with(suffix))
}

/// The region that a queue URL's host tells; `None` where it does not tell.
pub fn region_of_queue(queue_url: &str) -> Option<String> {
    let url = Url::parse(queue_url).ok()?;
    let host = url.host_str()?;
    if host == "queue.amazonaws.com" {
        return Some("us-east-1".to_owned());
    }
    host.split('.').find(|label| is_region(label)).map(str::to_owned)
}

/// Whether a queue URL points at AWS itself.
pub(crate) fn is_aws_queue(queue_url: &str) -> bool {
    Url::parse(queue_url).is_ok_and(|url| url.host_str().is_some_and(is_aws_host))
}

/// `eu-central-1`, `us-gov-west-1`, `eusc-de-east-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters =
        |part: &&str| (2..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.split_last() {
        Some((number, words)) => {
            (2..=4).contains(&words.len())
                && words[0].len() <= 4
                && words.iter().all(letters)
                && (1..=2).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => false,
    }
}

pub(crate) fn parse_region(text: &str) -> Result<String, String> {
    if is_region(text) {
        return Ok(text.to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let zone = lower.strip_suffix(|last: char| last.is_ascii_lowercase()).filter(|region| is_region(region));
    Err(match zone {
        Some(region) => format!("is an availability zone; write its region {region}"),
        None if is_region(&lower) => format!("is not an AWS region; did you mean {lower}?"),
        None => "is not an AWS region; write it like eu-central-1".to_owned(),
    })
}

pub(crate) fn parse_role_arn(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let sound = match parts[..] {
        ["arn", partition, "iam", "", account, resource] => {
            partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.strip_prefix("role/").is_some_and(is_role_path)
        }
        _ => false,
    };
    if sound {
        return Ok(text.to_owned());
    }
    Err("is not the ARN of a role; write it like arn:aws:iam::123456789012:role/orders-reader".to_owned())
}

fn is_role_path(path: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&byte);
    !path.is_empty() && !path.ends_with('/') && path.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_region_of_every_form_of_host() {
        for (host, region) in [
            ("sqs.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("eu-west-3.queue.amazonaws.com", Some("eu-west-3")),
            ("queue.amazonaws.com", Some("us-east-1")),
            ("sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("sqs-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("sqs.eusc-de-east-1.amazonaws.eu", Some("eusc-de-east-1")),
            ("vpce-0a1b-9z.sqs.eu-central-1.vpce.amazonaws.com", Some("eu-central-1")),
            ("localhost:9324", None),
        ] {
            let url = format!("https://{host}/123456789012/orders");
            assert_eq!(region_of_queue(&url).as_deref(), region, "{host}");
        }
    }

    #[test]
    fn takes_fifo_queues_and_emulators() {
        for url in [
            "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo",
            "http://127.0.0.1:9324/000000000000/orders",
            "http://localhost:4566/queue/orders",
        ] {
            assert_eq!(parse_queue_urls(url), Ok(vec![url.to_owned()]));
        }
    }
}
