//! One suite for all adapters: each story runs on every runtime, with its client and its broker,
//! over real sockets or a pipe in memory.

#[path = "runtimes/adapter.rs"]
mod adapter;
#[path = "runtimes/asking.rs"]
mod asking;
#[path = "runtimes/blocking.rs"]
mod blocking;
#[path = "runtimes/cancelling.rs"]
mod cancelling;
#[path = "runtimes/cuts.rs"]
mod cuts;
#[path = "runtimes/exchange.rs"]
mod exchange;
#[path = "runtimes/house.rs"]
mod house;
#[path = "runtimes/keeping.rs"]
mod keeping;
#[path = "runtimes/pipe.rs"]
mod pipe;
#[path = "runtimes/streams.rs"]
mod streams;

use adapter::Adapter;

/// Each story on each runtime.
macro_rules! stories {
    ($($module:ident: $($story:ident)*;)*) => {
        stories!(@runtime on_tokio adapter::OnTokio; $($module: $($story)*;)*);
        stories!(@runtime on_smol adapter::OnSmol; $($module: $($story)*;)*);
        stories!(@runtime on_async_std adapter::OnAsyncStd; $($module: $($story)*;)*);
    };
    (@runtime $name:ident $adapter:path; $($module:ident: $($story:ident)*;)*) => {
        mod $name {
            use super::*;
            $(mod $module {
                use super::*;
                $(#[test]
                fn $story() {
                    <$adapter as Adapter>::run(super::super::$module::$story::<$adapter>());
                })*
            })*
        }
    };
}

stories! {
    exchange:
        every_qos_over_every_transport_in_every_version
        a_stream_that_is_open_already_carries_a_client_and_only_it
        ten_thousand_messages_each_way
        a_slow_reader_loses_nothing
        who_receives_may_publish_though_the_queue_is_full
        messages_are_acknowledged_by_hand_in_any_order
        a_connection_lives_though_nobody_asks_for_messages
        messages_wait_for_a_server_that_is_not_there_yet;
    asking:
        requests_are_answered_or_given_up
        challenges_are_answered
        who_is_refused_hears_why
        the_host_publishes_and_subscribes
        a_graceful_stop_says_so;
    cuts:
        cut_connections_lose_and_double_nothing
        a_restarted_server_is_found_again;
    cancelling:
        futures_may_be_dropped_at_every_await
        a_stream_that_is_dropped_does_not_hold_others_up;
    keeping:
        an_acknowledgement_waits_for_a_slow_store
        what_a_store_fails_to_keep_is_not_acknowledged
        a_graceful_stop_waits_for_the_store
        what_was_acknowledged_is_there_after_a_restart;
    streams:
        a_large_payload_passes_through_bounded_memory
        a_payload_is_sent_again_if_its_connection_is_cut
        a_payload_that_nobody_sends_again_holds_nobody_up;
}
