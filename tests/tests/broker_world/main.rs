//! A broker, its clients and its store in a world where everything goes wrong, and a judge who sees
//! every byte.

mod faults;
mod fuzzing;
mod lives;
mod stalled;
mod stories;
