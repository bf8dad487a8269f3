//! The files of a daemon are its owner's alone.
//!
//! What a store writes lies in a folder that nobody else can look into. A process that is a broker
//! and nothing else can do more: whatever file it makes is private from the moment it is made, be
//! it by the database below the store or for a socket, with no instant in between.

use std::sync::OnceLock;

use rustix::fs::Mode;

/// What was taken away from the modes of files before.
static BEFORE: OnceLock<Mode> = OnceLock::new();

/// From now on, files that this process makes are its owner's alone; but the sockets of listeners
/// are for whom the process was started to let in. It concerns the process as a whole, so it is for
/// a program's beginning, before there are threads; a program that only contains a broker may have
/// reasons not to want it.
pub fn keep_files_private() {
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let _ = BEFORE.set(before); // the first one is the user's
}

/// The mode of a socket that others are to reach; none, if sockets have it anyhow.
pub(crate) fn mode_for_others() -> Option<u32> {
    let before = BEFORE.get()?;
    Some((Mode::RWXU | Mode::RWXG | Mode::RWXO).difference(*before).bits())
}
