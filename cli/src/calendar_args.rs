//! The calendar of a run, as the command line gives it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use windlass_activities::windows::{Calendar, CalendarError};

use crate::failure::{Failure, Kind};

/// Options that say when work is allowed.
#[derive(clap::Args, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct CalendarArgs {
    /// When work is allowed, may be repeated: "Sat,Sun 22:00-06:00 Europe/Berlin", "cron 0 22 * * 6 8h Europe/Berlin" or
    /// "2026-12-05 22:00..2026-12-06 06:00 Europe/Berlin" [default: always]
    #[arg(long, value_name = "WINDOW", conflicts_with = "windows")]
    window: Vec<String>,
    /// A file that says when work is allowed
    #[arg(long, value_name = "FILE")]
    windows: Option<PathBuf>,
    /// Days without work and why, may be repeated: "2026-12-24..2027-01-02 year end"
    #[arg(long, value_name = "DAYS")]
    blackout: Vec<String>,
}

/// A calendar has a few dozen lines; this is another sort of file.
const LARGEST_FILE: u64 = 256 * 1024;

impl CalendarArgs {
    /// The calendar that the options describe; none if work is always allowed.
    pub(crate) fn calendar(&self) -> Result<Option<Calendar>, Failure> {
        let Some(path) = &self.windows else {
            return Calendar::from_flags(&self.window, &self.blackout).map_err(|error| refuse(&error, ""));
        };
        let calendar = Calendar::parse(&read(path)?).map_err(|error| refuse(&error, &format!("{}: ", path.display())))?;
        calendar.with_blackouts(&self.blackout).map(Some).map_err(|error| refuse(&error, ""))
    }
}

fn refuse(error: &CalendarError, file: &str) -> Failure {
    Failure::with_advice(Kind::Usage, &format!("{file}{error}"), "docs/windows.md says how calendars are written")
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: &std::io::Error| Failure::io("reading", path, error);
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut text = String::new();
    file.take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(|error| failed(&error))?;
    if text.len() as u64 > LARGEST_FILE {
        let message = format!("{} is larger than a calendar can be", path.display());
        return Err(Failure::usage(message, "name the calendar with --windows FILE"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        calendar: CalendarArgs,
    }

    fn parse(words: &[&str]) -> Result<Option<Calendar>, Failure> {
        let line = std::iter::once("windlass").chain(words.iter().copied());
        Line::try_parse_from(line).unwrap().calendar.calendar()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    const WINDOW: &str = "Sat,Sun 22:00-06:00 Europe/Berlin";
    const FILE: &str = "zone: Europe/Berlin\nslots:\n  - {days: [sat, sun], from: '22:00', until: '06:00'}\n";

    #[test]
    fn flags_and_a_file_give_the_same_calendar() {
        let file = file(FILE);
        let path = file.path().to_str().unwrap();
        assert_eq!(parse(&[]), Ok(None));
        let by_flags = parse(&["--window", WINDOW]).unwrap().unwrap();
        assert_eq!(parse(&["--windows", path]), Ok(Some(by_flags)));
        let blackout = ["--blackout", "2026-12-24..2027-01-02 year end"];
        let by_flags = parse(&[["--window", WINDOW], blackout].concat()).unwrap().unwrap();
        assert_eq!(by_flags.blackouts.len(), 1);
        assert_eq!(parse(&[["--windows", path], blackout].concat()), Ok(Some(by_flags)));
        assert!(Line::try_parse_from(["windlass", "--window", WINDOW, "--windows", path]).is_err());
    }

    #[test]
    fn what_can_not_be_is_refused_with_what_to_do() {
        let check = |words: &[&str], kind: Kind, message: &str, next: &str| {
            let failure = parse(words).unwrap_err();
            assert_eq!((failure.kind, failure.message.as_str(), failure.next.as_str()), (kind, message, next));
        };
        check(
            &["--window", "Sat 22:00-06:00 Europe/Berln"],
            Kind::Usage,
            "there is no time zone Europe/Berln",
            "did you mean Europe/Berlin?",
        );
        check(
            &["--blackout", "2026-12-24"],
            Kind::Usage,
            "blackout 2026-12-24: there is no window it could be cut from",
            "add --window",
        );
        let (none, large) = (file("zone: UTC\n"), file(&"#".repeat(300 * 1024)));
        let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
        check(
            &["--windows", &path(&none)],
            Kind::Usage,
            &format!("{}: the calendar has no window", path(&none)),
            "give it slots or once, or leave it out",
        );
        check(
            &["--windows", &path(&large)],
            Kind::Usage,
            &format!("{} is larger than a calendar can be", path(&large)),
            "name the calendar with --windows FILE",
        );
        let missing = parse(&["--windows", "no-such-calendar.yaml"]).unwrap_err();
        assert_eq!(missing.kind, Kind::Failed);
        assert!(missing.message.starts_with("reading no-such-calendar.yaml: "), "{}", missing.message);
    }
}
