//! The thermostat on embassy's executor, over Ethernet: DHCP, TCP, and the `embedded` adapter.
#![no_std]
#![no_main]

mod network;

use board::{Board, Clock as SysTick, Ethernet, Flash, Once, argument, entry, exit, say};
use embassy_executor::{Executor, Spawner};
use embassy_net::{Config, Stack, StackResources};
use static_cell::StaticCell;
use tamtam_core::client::{Client, Lost};
use tamtam_core::{Fixed, Version};
use tamtam_embedded::{Connection, Happened};
use thermostat::{Store, Thermostat, WHOLE, Wish, options, report, report_lost};

use network::{Card, Ticks, Uplink};

type Mqtt = Client<Fixed<1024, 8>>;

/// What a record may take: a packet of all the outgoing memory, and its kind.
const RECORD: usize = 1025;
const SOCKET: usize = 1024;

static CLIENT: Once<Mqtt> = Once::new(Mqtt::new());
static RECEIVED: Once<[u8; WHOLE]> = Once::new([0; WHOLE]);
static MEMORY: Once<[u8; RECORD]> = Once::new([0; RECORD]);
static SOCKET_IN: Once<[u8; SOCKET]> = Once::new([0; SOCKET]);
static SOCKET_OUT: Once<[u8; SOCKET]> = Once::new([0; SOCKET]);
static EXECUTOR: StaticCell<Executor> = StaticCell::new();
static RESOURCES: StaticCell<StackResources<2>> = StaticCell::new();

entry!(main);

fn main(mut board: Board) -> ! {
    let _ticks = SysTick::new(&mut board);
    let executor = EXECUTOR.init(Executor::new());
    executor.run(|spawner| start(spawner, board))
}

fn start(spawner: Spawner, mut board: Board) {
    let card = Card::new(Ethernet::new(&mut board));
    let config = Config::dhcpv4(Default::default());
    let (stack, runner) =
        embassy_net::new(card, config, RESOURCES.init(StackResources::new()), 0x7A47_0007);
    let (Ok(network), Ok(work)) = (run_network(runner), run_thermostat(stack, board)) else {
        exit(1)
    };
    spawner.spawn(network);
    spawner.spawn(work);
}

#[embassy_executor::task]
async fn run_network(mut runner: embassy_net::Runner<'static, Card>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn run_thermostat(stack: Stack<'static>, mut board: Board) -> ! {
    let (Some(client), Some(received), Some(memory)) =
        (CLIENT.take(&mut board), RECEIVED.take(&mut board), MEMORY.take(&mut board))
    else {
        exit(1)
    };
    let (Some(rx), Some(tx)) = (SOCKET_IN.take(&mut board), SOCKET_OUT.take(&mut board)) else {
        exit(1)
    };
    let mut word = [0; 64];
    let port = port(argument(&mut word));
    let mut store = Store::open(Flash::new(&mut board));
    if client.start(&options(Version::V5), 7).is_err() || store.restore(client, memory).is_err() {
        exit(2);
    }
    stack.wait_config_up().await;
    say(b"an address by DHCP\n");
    let uplink = Uplink::new(stack, rx, tx, port);
    let mut connection = Connection::new(client, uplink, Ticks, received);
    let now = connection.now();
    let _ = connection.client().connect(now);
    let (mut thermostat, mut is_done) = (Thermostat::new(), false);
    loop {
        // A reading may be due while nothing comes; whatever is dropped here loses nothing.
        let reading = network::at(thermostat.next_reading());
        let _ = embassy_time::with_deadline(reading, connection.wait()).await;
        while let Some(turn) = connection.take() {
            match &turn.happened {
                Happened::Event(event) => {
                    report(event);
                    let _ = thermostat.handle_event(turn.client, event, turn.now);
                }
                Happened::Lost(Lost::Done) => is_done = true,
                Happened::Lost(lost) => {
                    report_lost(lost);
                    thermostat.handle_lost();
                }
                Happened::TooLarge => {
                    say(b"lost: a packet larger than the buffer\n");
                    thermostat.handle_lost();
                }
            }
        }
        if is_done {
            connection.wait().await; // once more, for the last words
            say(b"done\n");
            exit(0)
        }
        let now = connection.now();
        let _ = thermostat.handle_timeout(connection.client(), now);
        store.keep(connection.client(), memory, now);
        match thermostat.wish() {
            Wish::Run => {}
            Wish::Reset => board::reset(),
            Wish::Quit if connection.client().in_flight() == 0 => {
                let _ = connection.client().disconnect(now);
            }
            Wish::Quit => {}
        }
    }
}

/// The broker's port, in decimal digits.
fn port(text: &[u8]) -> u16 {
    text.iter().fold(0_u16, |port, digit| {
        port.wrapping_mul(10).wrapping_add(u16::from(digit.wrapping_sub(b'0')))
    })
}
