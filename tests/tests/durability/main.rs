//! A broker with a store: nothing is acknowledged before it is kept, nothing kept is lost, and
//! nothing comes twice that is to come once, wherever it crashes.

mod client;
mod model;
mod random;
mod receive;
mod smoke;
mod store;
mod stories;
mod world;
