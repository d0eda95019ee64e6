//! The embedded store: one file of `redb` in the state directory.
//!
//! A table a resolution holds chunks of cells by start, flow and series; a write merges into what is
//! there. `redb` commits whole transactions, so a process that is killed at any moment leaves the
//! last commit. Its checksums are verified at every start: a file that was altered is set aside with an
//! error, and an empty one takes its place, since whoever can be asked for the past is asked again.
//!
//! Size is bounded twice: by the age of chunks, and by bytes, where the oldest and finest go first.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction,
    ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, StorageError, Table,
    TableDefinition, TableError, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::grid::{Cell, Past, Resolution};
use crate::core::Flow;

const FILE: &str = "history.redb";
/// What a damaged file is renamed to; one is kept.
const SET_ASIDE: &str = "history.redb.damaged";
const CACHE_BYTES: usize = 8 << 20;
/// Bytes of a file a byte of chunks, as pages are seldom full: measured, and on the safe side.
const OVERHEAD: f64 = 1.6;
/// Most workloads whose learned rates are kept.
const MOST_LEARNED: u64 = 50_000;

type Key = (i64, u8, &'static str);
type ChunkTable = TableDefinition<'static, Key, &'static [u8]>;
const MINUTES: ChunkTable = TableDefinition::new("minutes");
const FIVE_MINUTES: ChunkTable = TableDefinition::new("five_minutes");
const HOURS: ChunkTable = TableDefinition::new("hours");
const LEARNED: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("learned");

fn table_of(resolution: Resolution) -> ChunkTable {
    match resolution {
        Resolution::Minute => MINUTES,
        Resolution::FiveMinutes => FIVE_MINUTES,
        Resolution::Hour => HOURS,
    }
}

fn number(flow: Flow) -> u8 {
    match flow {
        Flow::Arrivals => 0,
        Flow::Completions => 1,
    }
}

/// Whose orders.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct SeriesKey {
    /// Kubernetes namespace.
    pub namespace: String,
    /// The ScaledObject's name.
    pub workload: String,
    /// The queue's short name.
    pub queue: String,
}

impl SeriesKey {
    /// Neither a namespace nor a name has a slash in it.
    fn text(&self) -> String {
        format!("{}/{}/{}", self.namespace, self.workload, self.queue)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        Some(Self { namespace: parts.next()?, workload: parts.next()?, queue: parts.next()? })
    }
}

impl std::fmt::Display for SeriesKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{} (queue {})", self.namespace, self.workload, self.queue)
    }
}

/// What a workload has learned and can go on from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// Orders a second that one ready replica completes.
    pub service_rate: f64,
    /// Orders that one replica works on at once.
    pub concurrency: f64,
    /// A queue has shown that number.
    #[serde(default)]
    pub settled: bool,
    /// When that was so.
    pub at: Timestamp,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or the file.
    #[error("{}: {source}: it must be a directory that can be written to", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else writes to it.
    #[error("{}: another process writes to it: give each `serve` a directory of its own, and import while it is stopped", .0.display())]
    InUse(PathBuf),
    /// There is none yet.
    #[error("{}: there is no history yet; `serve --state-dir` or `history import` begins one", .0.display())]
    Missing(PathBuf),
    /// Its content is not what was written.
    #[error("{}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

enum Access {
    Write(Database),
    Read(ReadOnlyDatabase),
}

/// The open file.
pub struct Store {
    access: Access,
    path: PathBuf,
    max_bytes: u64,
}

/// What a series in the store is about: key, flow.
pub type Listed = (SeriesKey, Flow);

impl Store {
    /// Opens the store of a state directory for writing; makes both where they are missing. A damaged
    /// file is set aside, which is logged as an error.
    ///
    /// # Errors
    /// When the directory cannot be used, or another process writes to the file.
    pub fn open(directory: &Path, max_bytes: u64) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(io)?;
        let path = directory.join(FILE);
        let database = match open_checked(&path) {
            Err(StoreError::Damaged { reason, .. }) => {
                let aside = directory.join(SET_ASIDE);
                tracing::error!(
                    file = %path.display(), moved_to = %aside.display(), reason,
                    "the history is damaged: it is set aside, and begun anew"
                );
                fs::rename(&path, &aside).map_err(io)?;
                open_checked(&path)?
            }
            other => other?,
        };
        Ok(Self { access: Access::Write(database), path, max_bytes })
    }

    /// Opens the file of this store anew, with all checks.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(super) fn reopen(&mut self, directory: &Path, max_bytes: u64) -> Result<Self, StoreError> {
        // The lock on the file goes with the database that held it.
        let placeholder = Builder::new().create_with_backend(redb::backends::InMemoryBackend::new());
        self.access = Access::Write(placeholder.map_err(|error| unusable(&self.path, error))?);
        Self::open(directory, max_bytes)
    }

    /// Opens it for reading, beside a process that writes.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn open_to_read(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Err(StoreError::Missing(directory.to_owned()));
        }
        let opened = guarded(&path, || {
            let mut builder = Builder::new();
            builder.set_cache_size(CACHE_BYTES).set_concurrency_mode(ConcurrencyMode::SingleWriter);
            builder.open_read_only(&path).map_err(|error| unusable(&path, error))
        })?;
        Ok(Self { access: Access::Read(opened), path, max_bytes: 0 })
    }

    /// Merges what is known of series into what is there, and forgets what is too old.
    ///
    /// # Errors
    /// When the disk fails, or the file turns out to be damaged.
    pub fn write(
        &self,
        news: &[(SeriesKey, Flow, Past)],
        learned: &[(SeriesKey, Learned)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Access::Write(database) = &self.access else {
            return Err(StoreError::InUse(self.path.clone()));
        };
        guarded(&self.path, || {
            let write = || -> Result<(), redb::Error> {
                let transaction = database.begin_write()?;
                let mut tables = Tables::open(&transaction)?;
                for (series, flow, past) in news {
                    tables.merge(&series.text(), number(*flow), past)?;
                }
                tables.forget(now)?;
                tables.shrink(self.max_bytes)?;
                drop(tables);
                write_learned(&transaction, learned)?;
                transaction.commit()?;
                Ok(())
            };
            write().map_err(|error| self.failed(&error))
        })
    }

    /// All that is known of one series.
    ///
    /// # Errors
    /// When the disk fails, or the file turns out to be damaged.
    pub fn read(&self, key: &SeriesKey, flow: Flow, now: Timestamp) -> Result<Past, StoreError> {
        self.reading(|transaction| {
            let mut past = Past::default();
            let text = key.text();
            for resolution in Resolution::ALL {
                let Some(table) = present(transaction.open_table(table_of(resolution)))? else { continue };
                let width = resolution.chunk_seconds();
                let first = resolution.kept_since(now).div_euclid(width) * width;
                let mut start = first;
                // One further: what is written may be ahead of our clock by a little.
                while start <= now.as_second() + width {
                    if let Some(bytes) = table.get((start, number(flow), text.as_str()))? {
                        past.merge_chunk(resolution, start, &decode(bytes.value()));
                    }
                    start += width;
                }
            }
            Ok(past)
        })
    }

    /// Every series that anything is known of.
    ///
    /// # Errors
    /// When the disk fails, or the file turns out to be damaged.
    pub fn list(&self) -> Result<Vec<Listed>, StoreError> {
        self.reading(|transaction| {
            let mut listed = std::collections::BTreeSet::new();
            for resolution in Resolution::ALL {
                let Some(table) = present(transaction.open_table(table_of(resolution)))? else { continue };
                for entry in table.iter()? {
                    let (key, _) = entry?;
                    let (_, flow, text) = key.value();
                    let flow = if flow == 0 { Flow::Arrivals } else { Flow::Completions };
                    listed.extend(SeriesKey::parse(text).map(|series| (series, flow)));
                }
            }
            Ok(listed.into_iter().collect())
        })
    }

    /// What a workload had learned.
    ///
    /// # Errors
    /// When the disk fails, or the file turns out to be damaged.
    pub fn learned(&self, key: &SeriesKey) -> Result<Option<Learned>, StoreError> {
        self.reading(|transaction| {
            let Some(table) = present(transaction.open_table(LEARNED))? else { return Ok(None) };
            let bytes = table.get(key.text().as_str())?;
            Ok(bytes.and_then(|bytes| serde_json::from_slice(bytes.value()).ok()))
        })
    }

    fn reading<T>(&self, read: impl Fn(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        guarded(&self.path, || {
            let transaction = match &self.access {
                Access::Write(database) => database.begin_read(),
                Access::Read(database) => database.begin_read(),
            };
            transaction
                .map_err(redb::Error::from)
                .and_then(|transaction| read(&transaction))
                .map_err(|error| self.failed(&error))
        })
    }

    fn failed(&self, error: &redb::Error) -> StoreError {
        let path = self.path.clone();
        if let redb::Error::Io(source) = error {
            let source = std::io::Error::new(source.kind(), source.to_string());
            return StoreError::Io { path, source };
        }
        StoreError::Damaged { path, reason: error.to_string() }
    }
}

/// Bytes that a chunk takes in the file, its key included.
fn chunk_bytes(resolution: Resolution) -> f64 {
    (resolution.chunk_cells() * Cell::BYTES + 64) as f64 * OVERHEAD
}

fn open_checked(path: &Path) -> Result<Database, StoreError> {
    guarded(path, || {
        let mut builder = Builder::new();
        builder
            .set_cache_size(CACHE_BYTES)
            .set_concurrency_mode(ConcurrencyMode::SingleWriter)
            .set_check_integrity_on_open(true);
        builder.create(path).map_err(|error| unusable(path, error))
    })
}

/// `redb` takes its own pages for granted in places: a panic in it means a damaged file.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StoreError::Damaged {
            path: path.to_owned(),
            reason: "its pages contradict each other".to_owned(),
        })
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "redb's errors may grow; what is not named is damage")]
fn unusable(path: &Path, error: DatabaseError) -> StoreError {
    use std::io::ErrorKind;
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path),
        // A file that ends too early is damaged; one that cannot be read at all is not ours to move.
        DatabaseError::Storage(StorageError::Io(source))
            if !matches!(source.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) =>
        {
            StoreError::Io { path, source }
        }
        other => StoreError::Damaged { path, reason: other.to_string() },
    }
}

/// `None` for a table that nothing was ever written to.
fn present<T>(opened: Result<T, TableError>) -> Result<Option<T>, redb::Error> {
    match opened {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The tables of all resolutions in one transaction.
struct Tables<'a>(Vec<(Resolution, Table<'a, Key, &'static [u8]>)>);

impl<'a> Tables<'a> {
    fn open(transaction: &'a WriteTransaction) -> Result<Self, redb::Error> {
        let mut tables = Vec::new();
        for resolution in Resolution::ALL {
            tables.push((resolution, transaction.open_table(table_of(resolution))?));
        }
        Ok(Self(tables))
    }

    fn merge(&mut self, series: &str, flow: u8, news: &Past) -> Result<(), redb::Error> {
        let touched = news.touched();
        let mut known = Past::default();
        for (resolution, table) in &self.0 {
            for (_, start) in touched.iter().filter(|(of, _)| of == resolution) {
                if let Some(bytes) = table.get((*start, flow, series))? {
                    known.merge_chunk(*resolution, *start, &decode(bytes.value()));
                }
            }
        }
        known.merge(news);
        for (resolution, table) in &mut self.0 {
            for (_, start, cells) in known.chunks().filter(|(of, ..)| of == resolution) {
                table.insert((start, flow, series), encode(cells).as_slice())?;
            }
        }
        Ok(())
    }

    /// A chunk of which a part is young enough stays as a whole.
    fn forget(&mut self, now: Timestamp) -> Result<(), redb::Error> {
        for (resolution, table) in &mut self.0 {
            let oldest = resolution.kept_since(now) - resolution.chunk_seconds();
            while table.first()?.is_some_and(|(key, _)| key.value().0 < oldest) {
                table.pop_first()?;
            }
        }
        Ok(())
    }

    /// The oldest of the finest goes first, until all is within the bound.
    fn shrink(&mut self, max_bytes: u64) -> Result<(), redb::Error> {
        let mut bytes = 0.0;
        for (resolution, table) in &self.0 {
            bytes += table.len()? as f64 * chunk_bytes(*resolution);
        }
        for (resolution, table) in &mut self.0 {
            while bytes > max_bytes as f64 && table.pop_first()?.is_some() {
                bytes -= chunk_bytes(*resolution);
            }
        }
        Ok(())
    }
}

fn write_learned(
    transaction: &WriteTransaction,
    learned: &[(SeriesKey, Learned)],
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(LEARNED)?;
    for (series, learned) in learned {
        let text = series.text();
        let has_room = table.len()? < MOST_LEARNED || table.get(text.as_str())?.is_some();
        if let (Ok(json), true) = (serde_json::to_vec(learned), has_room) {
            table.insert(text.as_str(), json.as_slice())?;
        }
    }
    Ok(())
}

fn encode(cells: &[Cell]) -> Vec<u8> {
    let bytes = |cell: &Cell| [cell.count.to_le_bytes(), cell.covered_seconds.to_le_bytes()].concat();
    cells.iter().flat_map(bytes).collect()
}

fn decode(bytes: &[u8]) -> Vec<Cell> {
    let float = |bytes: &[u8]| bytes.try_into().map_or(0.0, f32::from_le_bytes);
    let cell = |bytes: &[u8]| Cell { count: float(&bytes[..4]), covered_seconds: float(&bytes[4..]) };
    bytes.chunks_exact(Cell::BYTES).map(cell).collect()
}
