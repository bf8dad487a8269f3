//! The end: clients are told, what they are owed leaves, the store keeps what it was handed.

use tamtam_core::{Instant, ReasonCode};

use super::handle::State;
use super::policy::Policy;
use super::server::Server;
use crate::Runtime;

impl<R: Runtime, P: Policy> Server<R, P> {
    /// The end has begun: clients are told.
    pub(super) fn begin_stopping(&mut self, state: &mut State, now: Instant) {
        let Some(patience) = state.stop.take() else { return };
        let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let until = now.plus_millis(millis);
        self.stopping = Some(self.stopping.map_or(until, |before| before.min(until)));
        self.listeners.clear();
        for id in self.links.places.keys().chain(state.locals.keys()) {
            state.broker.close(*id, ReasonCode::ServerShuttingDown, now);
        }
    }

    /// Everybody is gone and all is kept, or the time is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let is_done = self.links.len() == 0 && self.unsigned == 0;
        self.stopping.is_some_and(|until| until <= now || is_done)
    }
}

impl<R: Runtime, P> Drop for Server<R, P> {
    fn drop(&mut self) {
        let waiting = self.shared.turn(|state| {
            state.is_over = true;
            let locals = state.locals.values_mut().filter_map(|local| local.waker.take());
            self.wake.extend(locals);
            std::mem::take(&mut state.waiting)
        });
        if let Some(store) = &mut self.store {
            store.close();
        }
        for waker in self.wake.drain(..).chain(waiting) {
            waker.wake();
        }
    }
}
