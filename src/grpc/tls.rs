//! TLS from files, read again when they change, so that a renewed certificate needs no restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of client certificates; clients must then show one.
    pub client_authorities: Option<PathBuf>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path:?}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file holds no PEM of the right kind.
    #[error("{path:?} does not hold {expected} in PEM form: {error}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// Why not.
        error: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not go together, or another refusal of rustls.
    #[error("certificate {certificate:?} cannot be used: {error}")]
    Refused {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Bytes of the files, to see whether they changed.
type Contents = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

/// The present configuration.
pub(super) struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    pub(super) fn load(files: TlsFiles) -> Result<(Arc<Self>, Contents), TlsError> {
        let contents = read(&files)?;
        let config = ArcSwap::from_pointee(configure(&files, &contents)?);
        Ok((Arc::new(Self { files, config }), contents))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Looks at the files until `stop`; what cannot be used is logged, and the old stays.
    pub(super) async fn watch(self: Arc<Self>, mut contents: Contents, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let files = self.files.clone();
            let Ok(new) = tokio::task::spawn_blocking(move || read(&files)).await else { return };
            match new {
                Ok(new) if new == contents => {}
                Ok(new) => {
                    self.replace(&new);
                    contents = new;
                }
                Err(error) => tracing::warn!(%error, "certificate files"),
            }
        }
    }

    fn replace(&self, contents: &Contents) {
        match configure(&self.files, contents) {
            Ok(config) => {
                self.config.store(Arc::new(config));
                tracing::info!(certificate = %self.files.certificate.display(), "the certificate was replaced");
            }
            Err(error) => tracing::error!(%error, "the certificate before stays in use"),
        }
    }
}

fn read(files: &TlsFiles) -> Result<Contents, TlsError> {
    let read = |path: &Path| fs::read(path).map_err(|error| TlsError::Read { path: path.to_owned(), error });
    Ok((
        read(&files.certificate)?,
        read(&files.key)?,
        files.client_authorities.as_deref().map(read).transpose()?,
    ))
}

fn configure(files: &TlsFiles, (certificate, key, authorities): &Contents) -> Result<ServerConfig, TlsError> {
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| TlsError::Refused {
        certificate: files.certificate.clone(),
        error,
    };
    let chain = certificates(&files.certificate, certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Pem {
        path: files.key.clone(),
        expected: "a private key",
        error,
    })?;
    let builder = ServerConfig::builder();
    let builder = match (&files.client_authorities, authorities) {
        (Some(path), Some(pem)) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(path, pem)?);
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| refused(error.into()))?)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| refused(error.into()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| TlsError::Pem { path: path.to_owned(), expected: "certificates", error };
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if found.is_empty() {
        return Err(failed(rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(found)
}
