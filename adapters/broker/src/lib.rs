//! What a daemon needs around the tamtam broker: configuration, listeners, accounts, rules,
//! metrics.
