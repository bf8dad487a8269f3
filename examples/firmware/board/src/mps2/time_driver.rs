//! What `embassy-time` needs of a board: the time, and to be called at every tick.

use core::cell::RefCell;
use core::task::Waker;

use cortex_m as _; // how interrupts are held off
use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

struct SysTickDriver {
    queue: Mutex<RefCell<Queue>>,
    /// Who polls the network card, at every tick.
    network: Mutex<RefCell<Option<Waker>>>,
}

impl Driver for SysTickDriver {
    fn now(&self) -> u64 {
        super::clock::millis()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // Ticks come anyway, so that there is no alarm to set.
        critical_section::with(|section| {
            self.queue.borrow_ref_mut(section).schedule_wake(at, waker);
        });
    }
}

embassy_time_driver::time_driver_impl!(static DRIVER: SysTickDriver = SysTickDriver {
    queue: Mutex::new(RefCell::new(Queue::new())),
    network: Mutex::new(RefCell::new(None)),
});

pub(super) fn tick() {
    critical_section::with(|section| {
        DRIVER.queue.borrow_ref_mut(section).next_expiration(super::clock::millis());
        if let Some(waker) = DRIVER.network.borrow_ref_mut(section).take() {
            waker.wake();
        }
    });
}

/// Wakes whoever polls the network card, at the next tick.
pub fn wake_at_tick(waker: &Waker) {
    critical_section::with(|section| {
        *DRIVER.network.borrow_ref_mut(section) = Some(waker.clone());
    });
}
