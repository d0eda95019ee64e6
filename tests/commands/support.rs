//! A folder with small inputs, and the binary in it.

use std::fmt::Write as _;
use std::process::{Command, Output};

/// KEDA's own triggers, as many have them.
pub(crate) const KEDA: &str = "kind: ScaledObject
metadata: {name: pickers, namespace: shop}
spec:
  scaleTargetRef: {name: pickers}
  minReplicaCount: 1
  maxReplicaCount: 30
  triggers:
    - type: aws-sqs-queue
      metadata: {queueURL: https://sqs.eu-central-1.amazonaws.com/123456789012/orders, queueLength: \"20\"}
    - type: cron
      metadata: {timezone: Europe/Prague, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: \"3\"}
";

/// A trigger of ours.
pub(crate) const OURS: &str = "kind: ScaledObject
metadata: {name: pickers, namespace: shop}
spec:
  scaleTargetRef: {name: pickers}
  minReplicaCount: 1
  maxReplicaCount: 30
  triggers:
    - type: external-push
      metadata:
        scalerAddress: peakscaler.peakscaler:9443
        queueURL: https://sqs.eu-central-1.amazonaws.com/123456789012/orders
        targetWait: 5m
        cutOffs: DPD daily 14:00+45m
        timeZone: Europe/Prague
        maxReplicas: \"30\"
";

/// A folder of a test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// With a history of nine days of 15-minute rows, `keda.yaml` and `ours.yaml`.
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("orders.csv", &history(9));
        folder.write("keda.yaml", KEDA);
        folder.write("ours.yaml", OURS);
        folder
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// Runs `peakscaler` with arguments split at spaces; `_` stands for a space in one of them.
    pub(crate) fn run(&self, arguments: &str) -> Output {
        self.run_with(arguments, &[])
    }

    /// The same with more in its environment.
    pub(crate) fn run_with(&self, arguments: &str, environment: &[(&str, &str)]) -> Output {
        let arguments = arguments.split_whitespace().map(|argument| argument.replace('_', " "));
        Command::new(env!("CARGO_BIN_EXE_peakscaler"))
            .args(arguments)
            .current_dir(self.0.path())
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    /// The same, for its standard output; it must end with `code`.
    pub(crate) fn says(&self, arguments: &str, code: i32) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}\n{error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, for what it says when it fails.
    pub(crate) fn refuses(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments}");
        assert!(output.stdout.is_empty(), "{arguments}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Orders of `days` from Monday 2026-11-02 on: more at noon, none at night.
pub(crate) fn history(days: i8) -> String {
    let mut text = "timestamp,count\n".to_owned();
    for day in 2..2 + days {
        for quarter in 0..96 {
            let (hour, minute) = (quarter / 4, quarter % 4 * 15);
            let count = (20 - 4 * i32::abs(hour - 12)).max(0);
            let _ = writeln!(text, "2026-11-{day:02}T{hour:02}:{minute:02}:00,{count}");
        }
    }
    text
}

/// JSON of a text.
pub(crate) fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A page stands alone, and is made for screens of both kinds and for paper.
pub(crate) fn assert_page(page: &str) {
    for part in ["<!doctype html>", "<svg ", "prefers-color-scheme: dark", "@media print", "</html>"] {
        assert!(page.contains(part), "{part} is not in the page");
    }
    let rule = |text: &str| page.rfind(text);
    assert!(
        rule("@media print") > rule("white-space: nowrap"),
        "a later rule for screens would stand on paper"
    );
    for part in ["http:", "https:", "<script", "<link", "url(", "@import"] {
        assert!(!page.contains(part), "{part} is in the page");
    }
    assert_eq!(page.matches("<figure>").count(), page.matches("</figure>").count());
}
