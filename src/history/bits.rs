//! Bits, bytes and varints: what the columns are written with. Reading never panics and never reads past the end.

use crate::history::pack::PackError;

/// Bits a varint's byte carries.
const VARINT_BITS: u32 = 7;

/// Ones after which a Rice code gives up and writes the number as it is: bounds what one value can cost.
const RICE_ESCAPE: u32 = 32;

/// Appends bits, the lowest first, and ends on a byte.
#[derive(Debug)]
pub struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Bits not written yet, fewer than 8.
    held: u64,
    count: u32,
}

/// Reads what [`BitWriter`] and the byte functions wrote.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bits taken from the bytes before `at` and not read yet.
    held: u64,
    count: u32,
}

pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 1 << VARINT_BITS {
        out.push(value as u8 | 1 << VARINT_BITS);
        value >>= VARINT_BITS;
    }
    out.push(value as u8);
}

/// Bytes that [`put_varint`] takes.
pub const fn varint_len(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(VARINT_BITS) as usize
}

/// Bits that a value needs; 0 for 0.
pub const fn width(value: u32) -> u32 {
    u32::BITS - value.leading_zeros()
}

/// Bits that [`BitWriter::rice`] takes.
pub fn rice_len(value: u64, k: u32) -> u64 {
    let quotient = value >> k;
    if quotient < u64::from(RICE_ESCAPE) { quotient + 1 + u64::from(k) } else { u64::from(RICE_ESCAPE + u64::BITS) }
}

impl<'a> BitWriter<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, held: 0, count: 0 }
    }

    /// Appends the lowest `width` bits of a value, at most 32.
    pub fn bits(&mut self, value: u32, width: u32) {
        debug_assert!(width <= u32::BITS && (width == u32::BITS || value >> width == 0));
        self.held |= u64::from(value) << self.count;
        self.count += width;
        while self.count >= u8::BITS {
            self.out.push(self.held as u8);
            self.held >>= u8::BITS;
            self.count -= u8::BITS;
        }
    }

    /// Appends a value by its Rice code: the value over 2^k as ones and a zero, then its lowest `k` bits (at most 31).
    pub fn rice(&mut self, value: u64, k: u32) {
        let quotient = value >> k;
        if quotient < u64::from(RICE_ESCAPE) {
            let ones = quotient as u32;
            self.bits(((1_u64 << ones) - 1) as u32, ones);
            self.bits(0, 1);
            self.bits((value & ((1 << k) - 1)) as u32, k);
        } else {
            self.bits(u32::MAX, RICE_ESCAPE);
            self.bits(value as u32, u32::BITS);
            self.bits((value >> u32::BITS) as u32, u32::BITS);
        }
    }

    pub fn end(self) {
        if self.count > 0 {
            self.out.push(self.held as u8);
        }
    }
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, held: 0, count: 0 }
    }

    /// Bytes not read yet.
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn byte(&mut self) -> Result<u8, PackError> {
        let byte = *self.bytes.get(self.at).ok_or(PackError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    pub fn varint(&mut self) -> Result<u64, PackError> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(VARINT_BITS as usize) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte < 1 << VARINT_BITS {
                return Ok(value);
            }
        }
        Err(PackError::Invalid("a varint"))
    }

    pub fn varint_u32(&mut self) -> Result<u32, PackError> {
        u32::try_from(self.varint()?).map_err(|_| PackError::Invalid("a varint of 32 bits"))
    }

    /// The next `width` bits, at most 32. After the last, [`Reader::end_bits`] goes on with whole bytes.
    #[inline]
    pub fn bits(&mut self, width: u32) -> Result<u32, PackError> {
        while self.count < width {
            match self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
                Some(chunk) => {
                    self.held |= u64::from(u32::from_le_bytes(*chunk)) << self.count;
                    self.count += u32::BITS;
                    self.at += chunk.len();
                }
                None => {
                    self.held |= u64::from(self.byte()?) << self.count;
                    self.count += u8::BITS;
                }
            }
        }
        let value = (self.held & ((1 << width) - 1)) as u32;
        self.held >>= width;
        self.count -= width;
        Ok(value)
    }

    /// The next value of [`BitWriter::rice`].
    pub fn rice(&mut self, k: u32) -> Result<u64, PackError> {
        let mut ones = 0;
        while self.bits(1)? == 1 {
            ones += 1;
            if ones == RICE_ESCAPE {
                return Ok(u64::from(self.bits(u32::BITS)?) | u64::from(self.bits(u32::BITS)?) << u32::BITS);
            }
        }
        Ok(u64::from(ones) << k | u64::from(self.bits(k)?))
    }

    /// Drops the rest of a byte begun and gives back the bytes taken ahead.
    pub fn end_bits(&mut self) {
        self.at -= (self.count / u8::BITS) as usize;
        (self.held, self.count) = (0, 0);
    }
}
