//! A durable store for the tamtam broker.
