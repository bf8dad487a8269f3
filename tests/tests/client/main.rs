//! The client, bytes in and bytes out: each test plays the server's end of a connection by hand.

mod connect;
mod memory;
mod support;
