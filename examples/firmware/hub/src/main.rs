//! A broker on the microcontroller: several clients over Ethernet, MQTT 3.1.1 and 5, QoS 2,
//! retained messages, wills and sessions, everything within a fixed size, and no heap.
#![no_std]
#![no_main]

mod device;
mod ports;

use board::{Board, Clock, Ethernet, Once, entry, exit, say};
use smoltcp::iface::{Config, Interface, SocketSet, SocketStorage};
use smoltcp::socket::dhcpv4;
use smoltcp::time::Instant as NetInstant;
use smoltcp::wire::{EthernetAddress, IpCidr};
use tamtam_core::Instant;
use tamtam_core::broker::{Broker, Event, Options};

use device::Card;
use ports::{Memory, PACKET, PORTS, Port};

tamtam_core::fixed! {
    /// What the hub has room for.
    pub(crate) struct Room {
        out: 1024,
        in_flight: 8,
        aliases: 64,
        links: PORTS,
        sessions: 8,
        subscriptions: 32,
        levels: 96,
        level_bytes: 2048,
        bodies: 48,
        body_bytes: 8192,
        names: 512,
        queue: 16,
    }
}

pub(crate) type Hub = Broker<Room>;

const OPTIONS: Options = Options {
    connections: PORTS,
    sessions: 8,
    subscriptions: 32,
    subscriptions_per_session: 8,
    levels: 8,
    retained: 16,
    message_bytes: 8192,
    max_packet_size: PACKET as u32,
    max_connect_size: 256,
    receive_maximum: 8,
    send_window: 8,
    topic_alias_maximum: 0,
    outgoing_aliases: 0,
    session_expiry_max_secs: 3_600,
    queue: 16,
    output_bytes: 1024,
    ..Options::DEFAULT
};

static BROKER: Once<Hub> = Once::new(Hub::new());
static MEMORY: Once<Memory> = Once::new(Memory::EMPTY);
static FRAMES: Once<device::Frames> = Once::new(device::Frames::EMPTY);
static SOCKETS: Once<[SocketStorage<'static>; PORTS + 1]> =
    Once::new([const { SocketStorage::EMPTY }; PORTS + 1]);

entry!(main);

fn main(mut board: Board) -> ! {
    let (Some(broker), Some(memory), Some(storage)) =
        (BROKER.take(&mut board), MEMORY.take(&mut board), SOCKETS.take(&mut board))
    else {
        exit(1)
    };
    let Some(frames) = FRAMES.take(&mut board) else { exit(1) };
    let mut clock = Clock::new(&mut board);
    let ethernet = Ethernet::new(&mut board);
    let address = EthernetAddress(ethernet.address());
    let mut card = Card::new(ethernet, frames);
    let now = NetInstant::from_millis(clock.millis() as i64);
    let mut interface = Interface::new(Config::new(address.into()), &mut card, now);
    let mut sockets = SocketSet::new(&mut storage[..]);
    let dhcp = sockets.add(dhcpv4::Socket::new());
    let mut ports = memory.ports(&mut sockets);
    broker.start(&OPTIONS, 0x7A47_0008);
    say(b"hub started\n");
    loop {
        let millis = clock.millis();
        interface.poll(NetInstant::from_millis(millis as i64), &mut card, &mut sockets);
        take_address(&mut interface, sockets.get_mut::<dhcpv4::Socket<'_>>(dhcp));
        let now = Instant::from_millis(millis);
        let mut busy = false;
        broker.handle_timeout(now);
        for port in &mut ports {
            busy |= port.turn(broker, &mut sockets, now);
        }
        while let Some(event) = broker.poll_event() {
            handle_event(event, &mut ports);
        }
        while broker.next_writable().is_some() {} // every port looks by itself
        if !busy && !card.has_frame() {
            clock.idle();
        }
    }
}

fn take_address(interface: &mut Interface, dhcp: &mut dhcpv4::Socket<'_>) {
    match dhcp.poll() {
        Some(dhcpv4::Event::Configured(config)) => {
            interface.update_ip_addrs(|addresses| {
                addresses.clear();
                let _ = addresses.push(IpCidr::Ipv4(config.address));
            });
            if let Some(router) = config.router {
                let _ = interface.routes_mut().add_default_ipv4_route(router);
            }
            say(b"an address by DHCP\n");
        }
        Some(dhcpv4::Event::Deconfigured) => {
            interface.update_ip_addrs(|addresses| addresses.clear());
            interface.routes_mut().remove_default_ipv4_route();
        }
        None => {}
    }
}

fn handle_event(event: Event, ports: &mut [Port; PORTS]) {
    match event {
        Event::Connected { session_present: true, .. } => say(b"a client came back\n"),
        Event::Connected { .. } => say(b"a client came\n"),
        Event::Disconnected { .. } => say(b"a client left\n"),
        Event::Resume(link) => ports.iter_mut().for_each(|port| port.resume(link)),
        Event::Close(link) => ports.iter_mut().for_each(|port| port.close(link)),
        _ => {}
    }
}
