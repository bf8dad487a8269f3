//! What a daemon needs around the tamtam broker: configuration, listeners, accounts, rules,
//! metrics.

pub mod accounts;
pub mod config;
pub mod rules;
