//! `tamtam passwd`: accounts in a password file, of tamtam's or of mosquitto's.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tamtam_broker::accounts::{
    Accounts, Hash, check_name, with_account, without_account, write_private,
};

/// Add an account to a password file, change its password, or delete it.
///
/// The password is asked for on a terminal, else it is a line of the standard input. The file may
/// be one that mosquitto_passwd wrote; accounts that are not named stay as they are.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The password file; it is created if it is not there.
    file: PathBuf,
    /// The name of the account.
    user: String,
    /// The password itself. Others on this machine can see it while the command runs.
    #[arg(requires = "batch", required_if_eq("batch", "true"))]
    password: Option<String>,
    /// Take the password from the command line.
    #[arg(short, long)]
    batch: bool,
    /// Begin with an empty file: all accounts that it has are lost.
    #[arg(short, long, conflicts_with = "delete")]
    create: bool,
    /// Delete the account.
    #[arg(short = 'D', long, conflicts_with = "batch")]
    delete: bool,
}

/// Exit code 0: done; 1: not done.
pub(crate) fn run(args: &Args) -> ExitCode {
    match change(args) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tamtam passwd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn change(args: &Args) -> Result<String, String> {
    let Args { file, user, .. } = args;
    check_name(user)?;
    let old = if args.create { String::new() } else { read(file, args.delete)? };
    let what = |(line, why): &(usize, String)| format!("{}:{line}: {why}", file.display());
    if let Err(wrong) = Accounts::parse(&old) {
        let lines: Vec<String> = wrong.iter().map(what).collect();
        return Err(format!("the file was not changed, for it is wrong:\n{}", lines.join("\n")));
    }
    let (new, said) = if args.delete {
        let new = without_account(&old, user)
            .ok_or_else(|| format!("there is no account `{user}` in {}", file.display()))?;
        (new, "deleted")
    } else {
        let hash = Hash::new(password(args)?.as_bytes())?;
        let known = without_account(&old, user).is_some();
        (with_account(&old, user, &hash), if known { "changed" } else { "added" })
    };
    write_private(file, &new).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(format!("{user}: {said} in {}; a broker that runs learns of it by SIGHUP", file.display()))
}

/// The file's text; nothing, if it may be created.
fn read(file: &Path, must_exist: bool) -> Result<String, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Ok(String::new()),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

fn password(args: &Args) -> Result<String, String> {
    let given = if let Some(password) = &args.password {
        password.clone()
    } else if io::stdin().is_terminal() {
        let ask = |prompt| rpassword::prompt_password(prompt).map_err(|error| error.to_string());
        let first = ask(format!("Password of {}: ", args.user))?;
        if first != ask("The same again: ".to_owned())? {
            return Err("these were two different passwords; nothing was changed".to_owned());
        }
        first
    } else {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map_err(|error| error.to_string())?;
        line.trim_end_matches(['\n', '\r']).to_owned()
    };
    if given.is_empty() {
        return Err("an empty password protects nothing; nothing was changed".to_owned());
    }
    Ok(given)
}
