//! Writes the valid inputs that fuzzing begins with: `seeds DIR` makes `DIR/READER/N` for each reader.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use windlass_tests::readers::READERS;

fn main() -> ExitCode {
    let Some(dir) = env::args().nth(1) else {
        eprintln!("say where: seeds DIR");
        return ExitCode::from(2);
    };
    match write(Path::new(&dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("writing the seeds to {dir}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(dir: &Path) -> io::Result<()> {
    for reader in READERS {
        let folder = dir.join(reader.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (reader.seeds)().iter().enumerate() {
            fs::write(folder.join(number.to_string()), seed)?;
        }
    }
    Ok(())
}
