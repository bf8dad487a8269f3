//! Compares passwords on threads of its own: hashing one takes longer than routing ten thousand
//! messages.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::Accounts;

/// How many questions wait at most.
const WAITING_MAX: usize = 1_024;

/// What is to be compared, for whoever asks with a `K`.
pub struct Question<K> {
    /// Comes back with the answer.
    pub key: K,
    /// The accounts, as they are now.
    pub accounts: Arc<Accounts>,
    /// Who it claims to be.
    pub name: String,
    /// Its password.
    pub password: Vec<u8>,
}

/// Nothing that could end in a log.
impl<K: fmt::Debug> fmt::Debug for Question<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("key", &self.key).field("name", &self.name).finish()
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked<K> {
    /// What came with the question.
    pub key: K,
    /// Who it claimed to be.
    pub name: String,
    /// Whether it is.
    pub right: bool,
}

/// A few threads that compare passwords.
#[derive(Debug)]
pub struct Checker<K> {
    questions: SyncSender<Question<K>>,
    answers: Receiver<Checked<K>>,
}

impl<K: Send + 'static> Checker<K> {
    /// Starts so many threads, one at least. After each answer `wake` is called.
    ///
    /// # Errors
    /// The operating system starts none.
    pub fn start(threads: u8, wake: impl Fn() + Send + Sync + 'static) -> std::io::Result<Self> {
        let (questions, to_answer) = sync_channel::<Question<K>>(WAITING_MAX);
        let (answered, answers) = channel();
        let to_answer = Arc::new(Mutex::new(to_answer));
        let wake = Arc::new(wake);
        for number in 0..threads.max(1) {
            let (to_answer, answered) = (Arc::clone(&to_answer), answered.clone());
            let wake = Arc::clone(&wake);
            let name = format!("password-{number}");
            thread::Builder::new().name(name).spawn(move || work(&to_answer, &answered, &*wake))?;
        }
        Ok(Self { questions, answers })
    }

    /// Asks; whether there was room for the question.
    #[must_use]
    pub fn ask(&self, question: Question<K>) -> bool {
        match self.questions.try_send(question) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// The next answer, if there is one.
    #[must_use]
    pub fn next_answer(&self) -> Option<Checked<K>> {
        self.answers.try_recv().ok()
    }
}

fn work<K>(
    questions: &Mutex<Receiver<Question<K>>>,
    answers: &Sender<Checked<K>>,
    wake: &(impl Fn() + ?Sized),
) {
    loop {
        let next = questions.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Question { key, accounts, name, password }) = next else { return };
        let right = accounts.accept(&name, &password);
        if answers.send(Checked { key, name, right }).is_err() {
            return;
        }
        wake();
    }
}
