//! MQTT client over embedded-io-async, without a heap.
#![no_std]
