//! Decision records as lines of JSON in a directory: compressed, and bounded in bytes.
//!
//! A thread of its own writes; deciding never waits for the disk. When the queue to that thread is
//! full, records are lost and counted. Files are turned over at an eighth of the bound, and the
//! oldest is deleted before the directory would outgrow it. [`read()`] reads them back.

mod read;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::catalogue;
use crate::core::{DecisionRecord, Policy};
use crate::observe::WorkloadId;

pub use read::{BYTE_ORDER_MARK, Kept, RecordsError, files_of, read};

/// Where records go and how much of them is kept.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// An existing or new directory.
    pub directory: PathBuf,
    /// Most bytes of all files together, as they lie on the disk.
    pub max_bytes: u64,
}

const QUEUED: usize = 16_384;
const FILES: u64 = 8;
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// Most that the compressor adds around what it could not compress: header, trailer, block heads.
const OVERHEAD_BYTES: u64 = 128;

struct Item {
    id: WorkloadId,
    policy: Policy,
    record: Arc<DecisionRecord>,
}

/// The way to the writing thread. Cheap to clone; the thread ends with the last clone.
#[derive(Clone)]
pub struct RecordSink {
    sender: SyncSender<Item>,
}

#[derive(serde::Serialize)]
struct Line<'a> {
    namespace: &'a str,
    workload: &'a str,
    version: &'a str,
    policy: &'a Policy,
    #[serde(flatten)]
    record: &'a DecisionRecord,
}

impl RecordSink {
    /// Opens the directory and starts the thread.
    ///
    /// # Errors
    /// When the directory cannot be made or read, or its file cannot be opened.
    pub fn open(options: &RecordOptions) -> io::Result<Self> {
        let mut files = Files::open(options)?;
        let (sender, receiver) = sync_channel(QUEUED);
        std::thread::Builder::new().name("records".to_owned()).spawn(move || files.write_all(&receiver))?;
        Ok(Self { sender })
    }

    /// Hands a record and the policy it was taken under over, or loses it when the disk is behind.
    pub fn offer(&self, id: &WorkloadId, policy: &Policy, record: &Arc<DecisionRecord>) {
        let item = Item { id: id.clone(), policy: policy.clone(), record: record.clone() };
        if self.sender.try_send(item).is_err() {
            catalogue::RECORDS.count_with("lost");
        }
    }
}

struct Files {
    directory: PathBuf,
    bytes_a_file: u64,
    number: u64,
    current: Compressed,
}

impl Files {
    fn open(options: &RecordOptions) -> io::Result<Self> {
        fs::create_dir_all(&options.directory)?;
        make_room(&options.directory)?;
        let number = numbered(&options.directory)?.last().map_or(0, |(last, _)| last + 1);
        Ok(Self {
            bytes_a_file: (options.max_bytes / FILES).max(1),
            number,
            current: Compressed::create(&options.directory, number)?,
            directory: options.directory.clone(),
        })
    }

    fn write_all(&mut self, receiver: &Receiver<Item>) {
        loop {
            let result = match receiver.recv_timeout(FLUSH_AFTER) {
                Ok(item) => self.write(&item.id, &item.policy, &item.record),
                Err(RecvTimeoutError::Timeout) => self.current.flush(),
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = self.current.finish();
                    return;
                }
            };
            if let Err(error) = result {
                catalogue::RECORDS.count_with("lost");
                tracing::warn!(directory = %self.directory.display(), %error, "a decision record is lost");
            }
        }
    }

    fn write(&mut self, id: &WorkloadId, policy: &Policy, record: &DecisionRecord) -> io::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        let line = Line { namespace: &id.namespace, workload: &id.name, version, policy, record };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        if !self.current.has_room(bytes.len() as u64, self.bytes_a_file)? {
            self.turn_over()?;
        }
        self.current.write(&bytes)?;
        catalogue::RECORDS.count_with("written");
        Ok(())
    }

    fn turn_over(&mut self) -> io::Result<()> {
        self.current.finish()?;
        self.number += 1;
        make_room(&self.directory)?;
        self.current = Compressed::create(&self.directory, self.number)?;
        Ok(())
    }
}

/// A file that is compressed as it is written, and knows how long it can become.
struct Compressed {
    encoder: GzEncoder<Counted>,
    /// Bytes handed to the compressor that may not have come out of it.
    held: u64,
    is_empty: bool,
}

impl Compressed {
    fn create(directory: &Path, number: u64) -> io::Result<Self> {
        let file = Counted { file: File::create(path(directory, number))?, bytes: 0 };
        Ok(Self { encoder: GzEncoder::new(file, Compression::fast()), held: 0, is_empty: true })
    }

    /// Whether the file stays within `limit` with so many bytes more, whatever they compress to.
    /// An empty file takes one line of any length.
    fn has_room(&mut self, bytes: u64, limit: u64) -> io::Result<bool> {
        let fits = |file: &Self| file.encoder.get_ref().bytes + file.held + bytes + OVERHEAD_BYTES <= limit;
        if !fits(self) && self.held > 0 {
            self.flush()?;
        }
        Ok(self.is_empty || fits(self))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.is_empty = false;
        self.held += bytes.len() as u64;
        self.encoder.write_all(bytes)
    }

    /// Brings everything so far to the file, where it can be read while the file is still open.
    fn flush(&mut self) -> io::Result<()> {
        if self.held > 0 {
            self.encoder.flush()?;
            self.held = 0;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.encoder.try_finish()
    }
}

struct Counted {
    file: File,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Deletes the oldest files, so that with one more all together stay within the bound.
fn make_room(directory: &Path) -> io::Result<()> {
    let files = numbered(directory)?;
    let keep = usize::try_from(FILES - 1).unwrap_or(usize::MAX);
    for (_, old) in &files[..files.len().saturating_sub(keep)] {
        fs::remove_file(old)?;
    }
    Ok(())
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("decisions-{number:08}.ndjson.gz"))
}

/// Our files in the directory with their numbers, ascending.
fn numbered(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut numbered = Vec::new();
    for file in fs::read_dir(directory)? {
        let file = file?;
        let name = file.file_name();
        let number = name.to_str().and_then(|name| {
            let number = name.strip_prefix("decisions-")?.strip_suffix(".ndjson.gz")?;
            number.parse::<u64>().ok()
        });
        numbered.extend(number.map(|number| (number, file.path())));
    }
    numbered.sort_unstable();
    Ok(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Observation, Workload};

    fn id() -> WorkloadId {
        WorkloadId { namespace: "shop".to_owned(), name: "packers".to_owned() }
    }

    /// Records of a queue that grows, so that no two are alike.
    fn records(count: u32) -> Vec<DecisionRecord> {
        let mut workload = Workload::new(Policy::default());
        let step = |second: u32| {
            let text = format!(
                r#"{{"at":"2026-11-27T08:{:02}:{:02}Z","queue":{{"visible":{},"in_flight":3}}}}"#,
                second / 60 % 60,
                second % 60,
                second * 7919 % 1009
            );
            let observation: Observation = serde_json::from_str(&text).unwrap();
            workload.step(&observation).unwrap()
        };
        (0..count).map(step).collect()
    }

    fn sizes(directory: &Path) -> Vec<u64> {
        fs::read_dir(directory).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect()
    }

    #[test]
    fn the_directory_stays_within_its_bound() {
        let directory = tempfile::tempdir().unwrap();
        let options = RecordOptions { directory: directory.path().to_owned(), max_bytes: 120_000 };
        let records = records(200);
        // Twice, so that what an earlier process left is counted too.
        for _ in 0..2 {
            let mut files = Files::open(&options).unwrap();
            for record in &records {
                files.write(&id(), &Policy::default(), record).unwrap();
                assert!(sizes(directory.path()).iter().sum::<u64>() <= options.max_bytes);
            }
            files.current.finish().unwrap();
        }
        let sizes = sizes(directory.path());
        assert!(sizes.len() > 3 && sizes.iter().all(|size| *size <= options.max_bytes / FILES), "{sizes:?}");
    }

    #[test]
    fn what_was_written_is_read_back_also_from_a_file_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let options = RecordOptions { directory: directory.path().to_owned(), max_bytes: 1 << 20 };
        let records = records(50);
        let mut files = Files::open(&options).unwrap();
        for record in &records[..40] {
            files.write(&id(), &Policy::default(), record).unwrap();
        }
        files.current.flush().unwrap();
        let open = read(&path(directory.path(), 0)).unwrap();
        assert_eq!(open.lines.len(), 40, "a file that is being written can be read");
        assert!(open.cut_off);
        for record in &records[40..] {
            files.write(&id(), &Policy::default(), record).unwrap();
        }
        files.current.finish().unwrap();
        let whole = read(&path(directory.path(), 0)).unwrap();
        assert!(!whole.cut_off);
        for ((_, line), record) in whole.lines.iter().zip(&records) {
            let kept = Kept::parse(line).unwrap();
            assert_eq!(&kept.record, record);
            assert_eq!((kept.namespace.as_str(), kept.workload.as_str()), ("shop", "packers"));
            assert_eq!(kept.policy, Some(Policy::default()));
            assert_eq!(kept.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
        }
        assert_eq!(whole.lines.len(), 50);
    }
}
