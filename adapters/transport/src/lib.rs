//! Byte-stream layers for MQTT, sans-IO: plain, TLS and WebSocket.
