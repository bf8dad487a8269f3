//! A broker, its clients and its store in a world where everything goes wrong, and a judge who sees
//! every byte.

mod day;
mod faults;
mod fixed;
mod fuzzing;
mod lives;
mod stalled;
mod stories;

/// Runs a test whose broker lies inside itself, and is moved to the heap by way of the stack.
fn in_a_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 28).spawn(test);
    if let Err(panic) = thread.expect("a thread").join() {
        std::panic::resume_unwind(panic);
    }
}
