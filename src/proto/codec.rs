//! How messages become bytes: protobuf with small buffers, since a service holds thousands of streams that say little.

use std::marker::PhantomData;

use prost::{Message, bytes::Buf as _};
use tonic::{
    Status,
    codec::{BufferSettings, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// What a call starts with for each way, in bytes; it grows with the messages. tonic's default of 8 KiB would cost more
/// than all else that an idle stream needs.
const BUFFER_BYTES: usize = 1_024;
/// Messages that are ready are sent together up to this size, in bytes.
const YIELD_BYTES: usize = 16 * 1_024;

/// The codec of every service.
#[derive(Debug, Clone)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

/// One way of a [`Codec`].
#[derive(Debug, Clone)]
pub struct Half<M>(PhantomData<M>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Half<T>;
    type Decoder = Half<U>;

    fn encoder(&mut self) -> Self::Encoder {
        Half(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        Half(PhantomData)
    }
}

impl<M: Message> Encoder for Half<M> {
    type Item = M;
    type Error = Status;

    fn encode(&mut self, item: M, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

impl<M: Message + Default> Decoder for Half<M> {
    type Item = M;
    type Error = Status;

    /// What can't be decoded is the sender's mistake, not the service's.
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        let problem = |error| Status::invalid_argument(format!("the message can't be decoded: {error}"));
        // The buffer has the message in one piece. A plain slice of it is read in half the time.
        let bytes = buffer.remaining();
        let message = if buffer.chunk().len() == bytes { M::decode(buffer.chunk()) } else { M::decode(&mut *buffer) };
        buffer.advance(buffer.remaining());
        message.map(Some).map_err(problem)
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
