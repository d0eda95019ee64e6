//! The cluster's certificates and kubeconfigs, made by `openssl` or taken over.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::parts::program;

/// The user whom the shipped roles name.
const SCALER_USER: &str = "/O=system:serviceaccounts/O=system:serviceaccounts:peakscaler/CN=system:serviceaccount:peakscaler:peakscaler";

/// Makes all keys below `RUN/keys`, and `RUN/kubeconfig` (administrator) and `RUN/scaler.kubeconfig` (our server).
pub(crate) fn make(run: &Path, api_port: u16) -> anyhow::Result<()> {
    let keys = run.join("keys");
    fs::create_dir_all(&keys)?;
    authority(&keys, "ca")?;
    authority(&keys, "proxy-ca")?;
    let api = "DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.0.0.1";
    leaf(&keys, "apiserver", "ca", "/CN=kube-apiserver", api)?;
    leaf(&keys, "admin", "ca", "/O=system:masters/CN=admin", "DNS:admin")?;
    leaf(&keys, "scaler", "ca", SCALER_USER, "DNS:scaler")?;
    leaf(&keys, "front-proxy", "proxy-ca", "/CN=front-proxy", "DNS:front-proxy")?;
    let keda = "DNS:localhost,DNS:keda-operator.keda.svc,DNS:keda-metrics-apiserver.keda.svc,IP:127.0.0.1";
    leaf(&keys, "keda", "ca", "/CN=keda", keda)?;
    openssl(&keys, &["genrsa", "-out", "accounts.key", "2048"])?;
    let for_keda = keys.join("for-keda");
    fs::create_dir_all(&for_keda)?;
    for (from, to) in [("ca.crt", "ca.crt"), ("keda.crt", "tls.crt"), ("keda.key", "tls.key")] {
        fs::copy(keys.join(from), for_keda.join(to))?;
    }
    kubeconfig(run, &run.join("kubeconfig"), api_port, "admin")?;
    kubeconfig(run, &run.join("scaler.kubeconfig"), api_port, "scaler")
}

/// Makes `RUN/kubeconfig` and `RUN/scaler.kubeconfig` from the kubeconfig of somebody else's cluster; our server acts
/// there as the user of the shipped roles.
pub(crate) fn borrow(run: &Path, kubeconfig: &Path) -> anyhow::Result<()> {
    write_private(&run.join("kubeconfig"), &flat(kubeconfig)?)?;
    impersonate(kubeconfig, "system:serviceaccount:peakscaler:peakscaler", &run.join("scaler.kubeconfig"))
}

/// Writes a kubeconfig whose owner acts as another user.
pub(crate) fn impersonate(kubeconfig: &Path, user: &str, path: &Path) -> anyhow::Result<()> {
    let mut config = flat(kubeconfig)?;
    config["users"][0]["user"]["as"] = json!(user);
    write_private(path, &config)
}

/// A kubeconfig's one cluster and user, with their keys in it.
fn flat(kubeconfig: &Path) -> anyhow::Result<Value> {
    let mut command = Command::new(program("kubectl"));
    command.arg("--kubeconfig").arg(kubeconfig);
    let output = command.args(["config", "view", "--raw", "--flatten", "--minify", "-o", "json"]).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {words}", kubeconfig.display());
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// It holds keys: nobody else may read it.
fn write_private(path: &Path, config: &Value) -> anyhow::Result<()> {
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(config.to_string().as_bytes())?)
}

/// The file of a key or certificate.
pub(crate) fn file(run: &Path, name: &str) -> PathBuf {
    run.join("keys").join(name)
}

fn authority(keys: &Path, name: &str) -> anyhow::Result<()> {
    let (key, certificate, subject) = (format!("{name}.key"), format!("{name}.crt"), format!("/CN={name}"));
    let mut arguments =
        vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    arguments.extend(["-days", "3650", "-keyout", &key, "-out", &certificate, "-subj", &subject]);
    openssl(keys, &arguments)
}

fn leaf(keys: &Path, name: &str, authority: &str, subject: &str, names: &str) -> anyhow::Result<()> {
    let [key, request, certificate, extensions] =
        ["key", "csr", "crt", "ext"].map(|kind| format!("{name}.{kind}"));
    let mut arguments = vec!["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    arguments.extend(["-keyout", &key, "-out", &request, "-subj", subject]);
    openssl(keys, &arguments)?;
    fs::write(keys.join(&extensions), format!("subjectAltName={names}\n"))?;
    let [ca, ca_key] = ["crt", "key"].map(|kind| format!("{authority}.{kind}"));
    let mut arguments =
        vec!["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"];
    arguments.extend(["-days", "3650", "-out", &certificate, "-extfile", &extensions]);
    openssl(keys, &arguments)
}

fn openssl(keys: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("openssl").args(arguments).current_dir(keys).output().context("openssl")?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "openssl {}: {words}", arguments.join(" "));
    Ok(())
}

fn kubeconfig(run: &Path, path: &Path, api_port: u16, user: &str) -> anyhow::Result<()> {
    let keys = run.join("keys");
    let keys = keys.display();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: e2e\n\
         clusters:\n- name: e2e\n  cluster:\n    server: https://127.0.0.1:{api_port}\n    \
         certificate-authority: {keys}/ca.crt\n\
         users:\n- name: {user}\n  user:\n    client-certificate: {keys}/{user}.crt\n    client-key: {keys}/{user}.key\n\
         contexts:\n- name: e2e\n  context:\n    cluster: e2e\n    user: {user}\n"
    );
    Ok(fs::write(path, text)?)
}
