//! MQTT client and broker on smol.
