//! Compares passwords on threads of its own: hashing one takes longer than routing ten thousand
//! messages.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::Accounts;

/// How many questions wait at most.
const WAITING_MAX: usize = 1_024;

/// What is to be compared, and what is done then.
pub struct Question {
    /// The accounts, as they are now.
    pub accounts: Arc<Accounts>,
    /// Who it claims to be.
    pub name: String,
    /// Its password.
    pub password: Vec<u8>,
    /// Learns whether it is the right one, on another thread.
    pub then: Box<dyn FnOnce(bool) + Send>,
}

/// Nothing that could end in a log.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A few threads that compare passwords. They end when it is dropped.
#[derive(Debug)]
pub struct Checker {
    questions: SyncSender<Question>,
}

impl Checker {
    /// Starts so many threads, one at least.
    ///
    /// # Errors
    /// The operating system starts none.
    pub fn start(threads: u8) -> std::io::Result<Self> {
        let (questions, to_answer) = sync_channel(WAITING_MAX);
        let to_answer = Arc::new(Mutex::new(to_answer));
        for number in 0..threads.max(1) {
            let to_answer = Arc::clone(&to_answer);
            let thread = thread::Builder::new().name(format!("password-{number}"));
            thread.spawn(move || work(&to_answer))?;
        }
        Ok(Self { questions })
    }

    /// Asks; whether there was room for the question.
    #[must_use]
    pub fn ask(&self, question: Question) -> bool {
        self.questions.try_send(question).is_ok()
    }
}

fn work(questions: &Mutex<Receiver<Question>>) {
    loop {
        let next = questions.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Question { accounts, name, password, then }) = next else { return };
        then(accounts.accept(&name, &password));
    }
}
