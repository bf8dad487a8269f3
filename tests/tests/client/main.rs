//! The client, bytes in and bytes out: each test plays the server's end of a connection by hand.

mod acks;
mod connect;
mod keep_alive;
mod memory;
mod publish;
mod qos2;
mod receive;
mod support;
