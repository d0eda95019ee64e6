//! Decision records back from their files: compressed or plain, whole or cut off.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::core::{DecisionRecord, Policy};

/// The first bytes of a compressed file.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What some editors and shells put before a text.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// A file or directory cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A compressed file whose bytes are not what was written.
    #[error("{}: cannot be decompressed: {source}", .path.display())]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory without a file of ours.
    #[error("{}: holds no decisions-*.ndjson.gz; serve --record-dir writes them", .path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
}

/// The lines of a file.
#[derive(Debug)]
pub struct Lines {
    /// Each with its number, counted from 1; empty ones left out.
    pub lines: Vec<(usize, String)>,
    /// The file ends in the middle: it is still being written, or its writer was killed.
    pub cut_off: bool,
}

/// One line: a decision, whose it is, and what it was taken under.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Namespace of the ScaledObject; empty where the line does not say.
    pub namespace: String,
    /// Its name.
    pub workload: String,
    /// Version of the binary that decided.
    pub version: Option<String>,
    /// The policy in force; `None` in lines of `decide --inputs`.
    pub policy: Option<Policy>,
    /// The decision.
    pub record: DecisionRecord,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    workload: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    policy: Option<Policy>,
}

impl Kept {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is not a decision record.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        let Head { namespace, workload, version, policy } = serde_json::from_str(line)?;
        let record = serde_json::from_str(line)?;
        Ok(Self { namespace, workload, version, policy, record })
    }
}

/// The files that a path means: itself, or the record files of a directory, oldest first.
///
/// # Errors
/// When a directory cannot be read or has none.
pub fn files_of(path: &Path) -> Result<Vec<PathBuf>, RecordsError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files =
        super::numbered(path).map_err(|source| RecordsError::Read { path: path.to_owned(), source })?;
    if files.is_empty() {
        return Err(RecordsError::Empty { path: path.to_owned() });
    }
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

/// Reads a file of records; what comes after a cut is left out.
///
/// # Errors
/// When it cannot be read or decompressed.
pub fn read(path: &Path) -> Result<Lines, RecordsError> {
    let wrong = |source| RecordsError::Read { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(wrong)?;
    let mut text = Vec::new();
    let mut cut_off = false;
    if bytes.starts_with(&GZIP) {
        match MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => cut_off = true,
            Err(source) => return Err(RecordsError::Corrupt { path: path.to_owned(), source }),
        }
    } else {
        text = bytes;
    }
    if cut_off && text.last() != Some(&b'\n') {
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
    }
    let text = String::from_utf8_lossy(&text);
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    Ok(Lines { lines: lines.map(|(line, number)| (number, line.to_owned())).collect(), cut_off })
}
