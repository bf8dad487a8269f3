//! Looks into packets that this crate encoded: no checks, no decoding.

use super::cursor::Cursor;
use super::error::Field;
use super::header::FixedHeader;
use crate::types::PacketId;

/// How long the packet that begins `bytes` is, once its length is there.
#[inline]
pub(crate) fn frame_len_of(bytes: &[u8]) -> Option<usize> {
    FixedHeader::read(bytes).ok()?.map(FixedHeader::frame_len)
}

/// The packet identifier of a PUBLISH above QoS 0; `None` for every other packet.
#[inline]
pub(crate) fn publish_packet_id(packet: &[u8]) -> Option<PacketId> {
    let header = FixedHeader::read(packet).ok()??;
    if header.first & 0xF0 != 0x30 || header.first & 0b0110 == 0 {
        return None;
    }
    let body = packet.get(header.len..)?;
    let topic = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let id = body.get(topic.checked_add(2)?..)?;
    PacketId::new(u16::from_be_bytes([*id.first()?, *id.get(1)?]))
}

/// Where a CONNECT of MQTT 5 has its client identifier, if that is empty: the length of the fixed
/// header, what it says, and the offset of the identifier's own length.
#[cfg(feature = "v5")]
pub(crate) fn empty_client_id(packet: &[u8]) -> Option<(usize, usize, usize)> {
    let header = FixedHeader::read(packet).ok()??;
    let mut cursor = Cursor::new(packet.get(header.len..)?);
    let whole = cursor.left();
    cursor.binary(Field::ProtocolName)?;
    cursor.take(BEHIND_PROTOCOL_NAME, Field::ConnectFlags)?;
    let properties = cursor.var_int(Field::PropertyLength)?;
    cursor.take(properties as usize, Field::PropertyLength)?;
    let at = header.len.saturating_add(whole.saturating_sub(cursor.left()));
    if cursor.binary(Field::ClientId)?.is_empty() {
        return Some((header.len, header.remaining, at));
    }
    None
}

/// Level, flags and keep alive, in bytes.
#[cfg(feature = "v5")]
const BEHIND_PROTOCOL_NAME: usize = 4;

/// The connect flags of a CONNECT.
pub(crate) fn connect_flags(packet: &mut [u8]) -> Option<&mut u8> {
    let header = FixedHeader::read(packet).ok()??;
    let mut cursor = Cursor::new(packet.get(header.len..)?);
    let whole = cursor.left();
    cursor.binary(Field::ProtocolName)?;
    cursor.u8(Field::ProtocolLevel)?;
    let within = whole.saturating_sub(cursor.left());
    packet.get_mut(header.len.saturating_add(within))
}
