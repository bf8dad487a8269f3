//! A broker with a store: nothing is acknowledged before it is kept, nothing kept is lost, and
//! nothing comes twice that is to come once, wherever it crashes.

mod classes;
mod client;
mod ends;
mod failure;
mod faults;
mod groups;
mod limits;
mod model;
mod random;
mod receive;
mod records;
mod smoke;
mod stories;
mod world;
