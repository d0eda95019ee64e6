//! `explain`: the last decision of a running server, in sentences and a small table.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};

use crate::admin::explanation::Explanation;
use crate::admin::unobserved::Unobserved;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArguments {
    /// The ScaledObject.
    #[arg(value_name = "NAMESPACE/NAME")]
    workload: String,
    /// Admin address of the server.
    #[arg(long, value_name = "URL", env = "PEAKSCALER_ADMIN", default_value = "http://127.0.0.1:9090", value_parser = base_url)]
    admin: String,
    /// How to say it.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

pub(super) fn run(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let (namespace, name) = arguments
        .workload
        .split_once('/')
        .filter(|(namespace, name)| is_kubernetes_name(namespace) && is_kubernetes_name(name))
        .with_context(|| {
            format!("{:?} is not NAMESPACE/NAME, for example shop/packers", arguments.workload)
        })?;
    let url = format!("{}/v1/workloads/{namespace}/{name}/decision", arguments.admin.trim_end_matches('/'));
    let (status, body) = super::runtime()?.block_on(fetch(&url))?;
    let refusal = if status.is_success() {
        None
    } else {
        let refusal: Unobserved =
            serde_json::from_slice(&body).map_err(|_| anyhow!("{url} answered {status}"))?;
        Some(refusal)
    };
    let text = match (arguments.output, &refusal) {
        (Output::Json, _) => {
            let value: serde_json::Value = serde_json::from_slice(&body).context("the answer is not JSON")?;
            format!("{value:#}\n")
        }
        (Output::Text, Some(refusal)) => bail!(refusal.to_text()),
        (Output::Text, None) => {
            let explanation: Explanation = serde_json::from_slice(&body)
                .context("the server is of another version: try --output json")?;
            explanation.to_text()
        }
    };
    std::io::stdout().write_all(text.as_bytes()).context("writing to standard output")?;
    Ok(if refusal.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The address as it is given; without `http://` nothing could be asked.
fn base_url(text: &str) -> Result<String, String> {
    let is_url = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    is_url
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} is not a URL, such as http://127.0.0.1:9090"))
}

/// Letters, digits, `-` and `.`: nothing that would change the path of the URL.
fn is_kubernetes_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
        && name.bytes().any(|byte| byte != b'.')
}

async fn fetch(url: &str) -> anyhow::Result<(reqwest::StatusCode, Vec<u8>)> {
    let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
    let response = client.get(url).send().await.with_context(|| {
        format!("no server answers at {url}: say where it is with --admin (kubectl port-forward helps)")
    })?;
    let status = response.status();
    Ok((status, response.bytes().await?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::base_url;

    #[test]
    fn an_address_without_a_scheme_is_no_url() {
        assert_eq!(base_url("http://127.0.0.1:9090/").as_deref(), Ok("http://127.0.0.1:9090/"));
        assert_eq!(
            base_url("127.0.0.1:9090").unwrap_err(),
            "\"127.0.0.1:9090\" is not a URL, such as http://127.0.0.1:9090"
        );
    }
}
