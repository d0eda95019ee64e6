//! What Linux says of a process's memory. Shared with `benches/`.

/// `VmRSS` out of the text of `/proc/.../status`, in megabytes of 10^6 bytes.
pub(crate) fn resident_megabytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}
