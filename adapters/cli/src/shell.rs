//! `tamtam completions` and `tamtam man`: made of the same definitions as the options.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

/// Print what makes a shell complete the words of this command.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell that is to know them: source <(tamtam completions bash).
    shell: Shell,
}

/// Write the manual pages, one for each command.
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The folder that they are written to; without one, the first page is printed.
    folder: Option<PathBuf>,
}

pub(crate) fn completions(args: &Completions, mut command: Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tamtam", &mut script);
    done(io::stdout().lock().write_all(&script))
}

pub(crate) fn man(args: &Man, command: Command) -> ExitCode {
    done(match &args.folder {
        None => clap_mangen::Man::new(command).render(&mut io::stdout().lock()),
        Some(folder) => {
            std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder))
        }
    })
}

fn done(written: io::Result<()>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tamtam: {error}");
            ExitCode::FAILURE
        }
    }
}
