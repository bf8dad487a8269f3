//! MQTT client and broker on blocking sockets, without an asynchronous runtime.
