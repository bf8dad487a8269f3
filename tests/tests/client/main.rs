//! The client, bytes in and bytes out: each test plays the server's end of a connection by hand.

mod acks;
mod aliases;
mod auth;
mod connect;
mod disconnect;
mod errors;
mod keep_alive;
mod limits;
mod memory;
mod publish;
mod qos2;
mod receive;
mod reconnect;
mod records;
mod requests;
mod session;
mod streams;
mod subscribe;
mod support;
