//! MQTT client and broker on async-std.
