//! The client and broker loops of tamtam, for any asynchronous runtime.
