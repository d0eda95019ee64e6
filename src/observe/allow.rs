//! The operator's allow-list: which endpoints a namespace's triggers may make us contact, as which role, for
//! whose data.
//!
//! Scaler metadata is written by whoever may edit a ScaledObject, so every address, role and tenant in it is
//! untrusted. Without a rule only AWS's own SQS and CloudWatch hosts (over https, on the usual port)
//! and the pod's own identity are used, and no tenant of Mimir is named. A rule reads `NAMESPACE=VALUE`; of
//! endpoints:
//!
//! | value | allows |
//! |---|---|
//! | `https://host`, `http://host:9090` | that scheme, host and port; every path |
//! | `http://host:9090/prometheus` | the same, this path and those below it |
//! | `http://host:9090/team-*` | the same, paths that begin so |
//! | `http://host:*` | every port of that host |
//! | `host`, `host:9090` | http and https; the scheme's port unless one is given |
//! | `*` | everything |
//!
//! Roles and tenants are names, beginnings (`team-*`) or `*`. `NAMESPACE` is a name, a beginning or `*`. A star inside a host name is refused: it would let in
//! hosts that other people own. Addresses are compared as parsed, never as text, and what is parsed
//! here is what is connected to, so that no two parsers can read one address differently.

use reqwest::Url;

use super::AttachError;

/// Flag of `serve` that allows an endpoint.
pub const ENDPOINT_FLAG: &str = "--allow-endpoint";
/// Flag of `serve` that allows a role.
pub const ROLE_FLAG: &str = "--allow-role";
/// Flag of `serve` that allows a tenant of Mimir.
pub const TENANT_FLAG: &str = "--allow-tenant";

/// What the operator allows. The default allows AWS's own endpoints and the pod's own identity.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    endpoints: Vec<Rule<Place>>,
    roles: Vec<Rule<Text>>,
    tenants: Vec<Rule<Text>>,
    prometheus: Option<Url>,
}

/// A rule or address of the operator's that cannot be used.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{flag} {value:?}: {problem}")]
pub struct AllowListError {
    flag: &'static str,
    value: String,
    problem: &'static str,
}

/// An address that passed, in the one form in which it may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// AWS's regional host, which the SDK finds by itself.
    AwsRegional {
        /// The region in the host name, where it has one.
        region: Option<String>,
    },
    /// AWS's own, but another than the regional host (an interface endpoint, FIPS): its origin.
    AwsOther(String),
    /// A host that the operator allowed: its origin and path, without a slash at the end.
    Foreign(String),
}

#[derive(Debug, Clone)]
struct Rule<T> {
    namespace: Text,
    value: T,
}

/// A text, or the beginning of one.
#[derive(Debug, Clone)]
struct Text {
    text: String,
    is_beginning: bool,
}

#[derive(Debug, Clone)]
enum Place {
    Anywhere,
    Host { scheme: Option<String>, host: String, port: Port, path: Text },
}

#[derive(Debug, Clone, Copy)]
enum Port {
    Any,
    OfScheme,
    Number(u16),
}

impl AllowList {
    /// Reads the operator's flags.
    ///
    /// # Errors
    /// Names the first value that is not `NAMESPACE=VALUE` or not an address.
    pub fn parse(
        endpoints: &[String],
        roles: &[String],
        prometheus_address: Option<&str>,
    ) -> Result<Self, AllowListError> {
        Ok(Self {
            endpoints: endpoints
                .iter()
                .map(|rule| parse_rule(ENDPOINT_FLAG, rule, Place::parse))
                .collect::<Result<_, _>>()?,
            roles: roles
                .iter()
                .map(|rule| parse_rule(ROLE_FLAG, rule, |value| Ok(Text::parse(value))))
                .collect::<Result<_, _>>()?,
            tenants: Vec::new(),
            prometheus: prometheus_address
                .map(|address| {
                    parse_address(address).map_err(|problem| AllowListError {
                        flag: "--prometheus-address",
                        value: address.to_owned(),
                        problem,
                    })
                })
                .transpose()?,
        })
    }

    /// Allows tenants of Mimir besides.
    ///
    /// # Errors
    /// Names the first value that is not `NAMESPACE=TENANT`.
    pub fn with_tenants(mut self, rules: &[String]) -> Result<Self, AllowListError> {
        for rule in rules {
            self.tenants.push(parse_rule(TENANT_FLAG, rule, tenant_rule)?);
        }
        Ok(self)
    }

    /// The operator's own Prometheus, which every namespace may use.
    pub fn prometheus_address(&self) -> Option<String> {
        self.prometheus.as_ref().map(base_of)
    }

    /// Checks an AWS address (`queueURL` or `awsEndpoint`) and returns what may be connected to.
    ///
    /// # Errors
    /// [`AttachError::Forbidden`] when no rule allows it, [`AttachError::Unusable`] when it is no plain address.
    pub fn aws_endpoint(
        &self,
        namespace: &str,
        key: &'static str,
        value: &str,
    ) -> Result<Allowed, AttachError> {
        let url = parse_metadata(key, value)?;
        if let Some(own) = aws_own(&url) {
            return Ok(own);
        }
        self.check_endpoint(namespace, key, &url)?;
        Ok(Allowed::Foreign(if key == "queueURL" { origin_of(&url) } else { base_of(&url) }))
    }

    /// Checks a Prometheus address and returns its base, without a slash at the end.
    ///
    /// # Errors
    /// As [`Self::aws_endpoint`].
    pub fn prometheus(&self, namespace: &str, key: &'static str, value: &str) -> Result<String, AttachError> {
        let url = parse_metadata(key, value)?;
        let base = base_of(&url);
        if self.prometheus_address().is_none_or(|own| own != base) {
            self.check_endpoint(namespace, key, &url)?;
        }
        Ok(base)
    }

    /// Checks a role's ARN.
    ///
    /// # Errors
    /// [`AttachError::Forbidden`] when no rule allows it.
    pub fn role(&self, namespace: &str, key: &'static str, arn: &str) -> Result<(), AttachError> {
        let allowed =
            self.roles.iter().any(|rule| rule.namespace.matches(namespace) && rule.value.matches(arn));
        if allowed {
            return Ok(());
        }
        Err(AttachError::Forbidden {
            key,
            value: arn.to_owned(),
            namespace: namespace.to_owned(),
            flag: ROLE_FLAG,
        })
    }

    /// Checks a tenant of Mimir, or several with `|` between them, of which each must be allowed.
    ///
    /// # Errors
    /// [`AttachError::Forbidden`] names the first that no rule allows.
    pub fn tenant(&self, namespace: &str, key: &'static str, tenants: &str) -> Result<(), AttachError> {
        let is_allowed = |tenant: &&str| {
            self.tenants.iter().any(|rule| rule.namespace.matches(namespace) && rule.value.matches(tenant))
        };
        match tenants.split(TENANT_SEPARATOR).find(|tenant| !is_allowed(tenant)) {
            None => Ok(()),
            Some(tenant) => Err(AttachError::Forbidden {
                key,
                value: tenant.to_owned(),
                namespace: namespace.to_owned(),
                flag: TENANT_FLAG,
            }),
        }
    }

    fn check_endpoint(&self, namespace: &str, key: &'static str, url: &Url) -> Result<(), AttachError> {
        let allowed =
            self.endpoints.iter().any(|rule| rule.namespace.matches(namespace) && rule.value.matches(url));
        if allowed {
            return Ok(());
        }
        Err(AttachError::Forbidden {
            key,
            value: url.as_str().to_owned(),
            namespace: namespace.to_owned(),
            flag: ENDPOINT_FLAG,
        })
    }
}

impl Text {
    fn parse(value: &str) -> Self {
        let beginning = value.strip_suffix('*');
        Self { text: beginning.unwrap_or(value).to_owned(), is_beginning: beginning.is_some() }
    }

    fn matches(&self, value: &str) -> bool {
        if self.is_beginning { value.starts_with(&self.text) } else { value == self.text }
    }
}

impl Place {
    fn parse(value: &str) -> Result<Self, &'static str> {
        if value == "*" {
            return Ok(Self::Anywhere);
        }
        let (scheme, rest) = match value.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, value),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let any_port = authority.strip_suffix(":*");
        let authority = any_port.unwrap_or(authority);
        if authority.contains('*') {
            return Err("a star cannot be part of a host name: name the host, or allow all with \"*\"");
        }
        let path = Text::parse(path);
        if path.text.contains('*') {
            return Err("a star can only be the last character");
        }
        let shown = format!("{}://{authority}{}", scheme.as_deref().unwrap_or("https"), path.text);
        let url = parse_address(&shown)?;
        Ok(Self::Host {
            host: url.host_str().unwrap_or_default().to_owned(),
            port: match (any_port, url.port()) {
                (Some(_), _) => Port::Any,
                (None, Some(port)) => Port::Number(port),
                (None, None) => Port::OfScheme,
            },
            path: Text {
                text: if path.is_beginning {
                    url.path().to_owned()
                } else {
                    url.path().trim_end_matches('/').to_owned()
                },
                is_beginning: path.is_beginning,
            },
            scheme,
        })
    }

    fn matches(&self, url: &Url) -> bool {
        let Self::Host { scheme, host, port, path } = self else {
            return true;
        };
        scheme.as_deref().is_none_or(|scheme| scheme == url.scheme())
            && url.host_str() == Some(host)
            && match port {
                Port::Any => true,
                Port::OfScheme => url.port().is_none(),
                Port::Number(number) => url.port_or_known_default() == Some(*number),
            }
            && path_matches(path, url.path())
    }
}

fn path_matches(rule: &Text, path: &str) -> bool {
    if rule.text.is_empty() {
        return true;
    }
    // An encoded slash or backslash means another path to the server behind than to us.
    let lower = path.to_ascii_lowercase();
    if lower.contains("%2f") || lower.contains("%5c") {
        return false;
    }
    if rule.is_beginning {
        return path.starts_with(&rule.text);
    }
    path.strip_prefix(&rule.text).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Between tenants whose data Mimir is asked for at once.
const TENANT_SEPARATOR: char = '|';

fn tenant_rule(value: &str) -> Result<Text, &'static str> {
    let tenant = Text::parse(value);
    if tenant.text.contains(['*', TENANT_SEPARATOR]) {
        return Err("name one tenant, or its beginning with a star at the end; repeat the flag for more");
    }
    Ok(tenant)
}

fn parse_rule<T>(
    flag: &'static str,
    rule: &str,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> Result<Rule<T>, AllowListError> {
    let error = |problem| AllowListError { flag, value: rule.to_owned(), problem };
    let (namespace, value) =
        rule.split_once('=').ok_or_else(|| error("write NAMESPACE=VALUE, with * for every namespace"))?;
    if namespace.is_empty() || value.is_empty() {
        return Err(error("write NAMESPACE=VALUE, with * for every namespace"));
    }
    Ok(Rule { namespace: Text::parse(namespace), value: parse(value).map_err(error)? })
}

/// Parses a plain http(s) address; anything that could be read in two ways is refused.
fn parse_address(value: &str) -> Result<Url, &'static str> {
    let url = Url::parse(value).map_err(|_| "give an address such as https://host:port")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http:// and https:// can be used");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password cannot be part of it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a query or fragment cannot be part of it");
    }
    match url.host_str() {
        None | Some("") => Err("it has no host"),
        Some(host) if host.ends_with('.') => Err("write the host without a dot at its end"),
        Some(_) => Ok(url),
    }
}

fn parse_metadata(key: &'static str, value: &str) -> Result<Url, AttachError> {
    parse_address(value).map_err(|problem| {
        // A password must not come back in a message.
        let shown = value.rsplit_once('@').map_or(value, |(_, behind)| behind);
        AttachError::Unusable(format!("{key} {shown:?} cannot be used: {problem}"))
    })
}

fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn base_of(url: &Url) -> String {
    format!("{}{}", origin_of(url), url.path().trim_end_matches('/'))
}

/// AWS's own SQS and CloudWatch hosts. Only these, not all of `amazonaws.com`: buckets, gateways
/// and virtual machines of strangers have names under it too.
fn aws_own(url: &Url) -> Option<Allowed> {
    if url.scheme() != "https" || url.port().is_some() {
        return None;
    }
    let host = url.host_str()?;
    let labels: Vec<&str> = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"))?
        .split('.')
        .collect();
    match labels.as_slice() {
        // `REGION.queue` and `queue` are the names from before SQS had regional ones.
        ["sqs" | "monitoring", region] | [region, "queue"] if is_region(region) => {
            Some(Allowed::AwsRegional { region: Some((*region).to_owned()) })
        }
        ["queue"] => Some(Allowed::AwsRegional { region: None }),
        ["sqs-fips" | "monitoring-fips", region] if is_region(region) => {
            Some(Allowed::AwsOther(origin_of(url)))
        }
        [endpoint, "sqs" | "monitoring", region, "vpce"]
            if endpoint.starts_with("vpce-") && is_region(region) =>
        {
            Some(Allowed::AwsOther(origin_of(url)))
        }
        _ => None,
    }
}

/// Whether a text can be a region: it becomes part of a host name, so it must be one plain label.
pub fn is_region(text: &str) -> bool {
    text.len() <= 40
        && text.contains('-')
        && text.split('-').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests;
