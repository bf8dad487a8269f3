//! MQTT client and broker on tokio.
