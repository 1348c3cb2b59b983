//! How long a command takes that only looks: `cargo bench -p windlass --bench startup`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 51;

/// Nobody notices less than a frame or two.
const TARGET: Duration = Duration::from_millis(20);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only wants to know whether this still runs.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { ROUNDS } else { 1 };
    let home = tempfile::tempdir()?;
    let journal = home.path().join("journal");
    // A run of an ordinary update, some hundred events.
    let rehearsed = windlass(&journal).args(["rehearse", "eus-update"]).output()?;
    assert!(rehearsed.status.success(), "{}", String::from_utf8_lossy(&rehearsed.stderr));
    for line in ["--version", "list", "status latest", "history latest", "explain latest"] {
        let mut times = Vec::new();
        for _ in 0..rounds {
            let begun = Instant::now();
            let status = windlass(&journal).args(line.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            times.push(begun.elapsed());
            assert!(status.success(), "windlass {line}");
        }
        times.sort_unstable();
        let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
        let met = if median < TARGET { "met" } else { "missed" };
        println!("{line:<16} median {:>5.1} ms, worst {:>5.1} ms | target 20 ms | {met}", ms(median), ms(most));
    }
    Ok(())
}

fn windlass(journal: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.arg("--journal").arg(journal).stdin(Stdio::null());
    command
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
