//! Decision records as lines of JSON in a directory, bounded in bytes.
//!
//! A thread of its own writes; deciding never waits for the disk. When the queue to that thread is
//! full, records are lost and counted. Files are turned over at an eighth of the bound, and the
//! oldest is deleted before the directory would outgrow it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::catalogue;
use crate::core::DecisionRecord;
use crate::observe::WorkloadId;

/// Where records go and how much of them is kept.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// An existing or new directory.
    pub directory: PathBuf,
    /// Most bytes of all files together.
    pub max_bytes: u64,
}

const QUEUED: usize = 16_384;
const FILES: u64 = 8;
const FLUSH_AFTER: Duration = Duration::from_secs(1);

type Item = (WorkloadId, Arc<DecisionRecord>);

/// The way to the writing thread. Cheap to clone; the thread ends with the last clone.
#[derive(Clone)]
pub struct RecordSink {
    sender: SyncSender<Item>,
}

#[derive(serde::Serialize)]
struct Line<'a> {
    namespace: &'a str,
    workload: &'a str,
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

    /// Hands a record over, or loses it when the disk is behind.
    pub fn offer(&self, id: &WorkloadId, record: &Arc<DecisionRecord>) {
        if self.sender.try_send((id.clone(), record.clone())).is_err() {
            catalogue::RECORDS.count_with("lost");
        }
    }
}

struct Files {
    directory: PathBuf,
    bytes_a_file: u64,
    number: u64,
    written: u64,
    current: BufWriter<File>,
}

impl Files {
    fn open(options: &RecordOptions) -> io::Result<Self> {
        fs::create_dir_all(&options.directory)?;
        make_room(&options.directory)?;
        let number = numbers(&options.directory)?.last().map_or(0, |last| last + 1);
        Ok(Self {
            bytes_a_file: (options.max_bytes / FILES).max(1),
            number,
            written: 0,
            current: create(&options.directory, number)?,
            directory: options.directory.clone(),
        })
    }

    fn write_all(&mut self, receiver: &Receiver<Item>) {
        loop {
            let result = match receiver.recv_timeout(FLUSH_AFTER) {
                Ok((id, record)) => self.write(&id, &record),
                Err(RecvTimeoutError::Timeout) => self.current.flush(),
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = self.current.flush();
                    return;
                }
            };
            if let Err(error) = result {
                catalogue::RECORDS.count_with("lost");
                tracing::warn!(directory = %self.directory.display(), %error, "a decision record is lost");
            }
        }
    }

    fn write(&mut self, id: &WorkloadId, record: &DecisionRecord) -> io::Result<()> {
        let line = Line { namespace: &id.namespace, workload: &id.name, record };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        if self.written > 0 && self.written + bytes.len() as u64 > self.bytes_a_file {
            self.turn_over()?;
        }
        self.current.write_all(&bytes)?;
        self.written += bytes.len() as u64;
        catalogue::RECORDS.count_with("written");
        Ok(())
    }

    fn turn_over(&mut self) -> io::Result<()> {
        self.current.flush()?;
        self.number += 1;
        make_room(&self.directory)?;
        self.current = create(&self.directory, self.number)?;
        self.written = 0;
        Ok(())
    }
}

/// Deletes the oldest files, so that with one more all together stay within the bound.
fn make_room(directory: &Path) -> io::Result<()> {
    let numbers = numbers(directory)?;
    let keep = usize::try_from(FILES - 1).unwrap_or(usize::MAX);
    for old in &numbers[..numbers.len().saturating_sub(keep)] {
        fs::remove_file(path(directory, *old))?;
    }
    Ok(())
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("decisions-{number:08}.ndjson"))
}

fn create(directory: &Path, number: u64) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path(directory, number))?))
}

/// Numbers of our files in the directory, ascending.
fn numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for file in fs::read_dir(directory)? {
        let name = file?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("decisions-")?.strip_suffix(".ndjson")?.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Observation, Policy, Workload};

    fn record() -> DecisionRecord {
        let observation: Observation = serde_json::from_str(r#"{"at":"2026-11-27T08:00:00Z"}"#).unwrap();
        Workload::new(Policy::default()).step(&observation).unwrap()
    }

    #[test]
    fn the_directory_stays_within_its_bound() {
        let directory = tempfile::tempdir().unwrap();
        let options = RecordOptions { directory: directory.path().to_owned(), max_bytes: 16_000 };
        let id = WorkloadId { namespace: "shop".to_owned(), name: "packers".to_owned() };
        let record = record();
        // Twice, so that what an earlier process left is counted too.
        for _ in 0..2 {
            let mut files = Files::open(&options).unwrap();
            for _ in 0..200 {
                files.write(&id, &record).unwrap();
            }
            files.current.flush().unwrap();
        }
        let sizes: Vec<u64> = fs::read_dir(directory.path())
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .collect();
        assert!(sizes.iter().sum::<u64>() <= 16_000, "{sizes:?}");
        assert!(sizes.len() > 3, "{sizes:?}");
        let newest =
            fs::read_to_string(path(directory.path(), *numbers(directory.path()).unwrap().last().unwrap()));
        let line: serde_json::Value = serde_json::from_str(newest.unwrap().lines().next().unwrap()).unwrap();
        assert_eq!((line["namespace"].as_str(), line["workload"].as_str()), (Some("shop"), Some("packers")));
    }
}
