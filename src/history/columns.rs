//! A column of up to 60 numbers as bytes: of four encodings the one that is smallest. Knows nothing of what it holds.
//!
//! The first byte is the encoding (two bits) and its argument (six bits):
//!
//! | encoding | argument | what follows |
//! |---|---|---|
//! | constant | the value, or 63 | the value as a varint when the argument is 63 |
//! | packed | bits a value, 1 to 32 | the least value as a varint, each value less it |
//! | steps | bits a step, 1 to 32 | the first value as a varint, each step to the next |
//! | sparse | number of exceptions | bits an exception (a byte), the common value as a varint, places, exceptions |
//!
//! Steps and exceptions may be negative: they are zigzag coded, modulo 2^32. Places are six bits each, or a mask of one
//! bit a place where that is smaller.

use crate::{
    history::{
        bits::{BitWriter, Reader, put_varint, varint_len, width},
        pack::PackError,
    },
    model::hour::MINUTES,
};

const CONSTANT: u8 = 0;
const PACKED: u8 = 1;
const STEPS: u8 = 2;
const SPARSE: u8 = 3;

/// Bits of the argument.
const ARGUMENT_BITS: u32 = 6;
/// The argument of a constant too large to be one.
const LARGE: u32 = (1 << ARGUMENT_BITS) - 1;
/// Bits of a place: it is below 60.
const PLACE_BITS: u32 = 6;

const _: () = assert!(MINUTES < LARGE as usize, "places and numbers of exceptions fit in six bits");

/// A difference modulo 2^32 as a number that is small when the difference is, either way.
pub const fn zigzag(value: u32, base: u32) -> u32 {
    let difference = value.wrapping_sub(base) as i32;
    (difference << 1 ^ difference >> (i32::BITS - 1)) as u32
}

/// The value whose [`zigzag`] this is.
pub const fn unzigzag(coded: u32, base: u32) -> u32 {
    base.wrapping_add(coded >> 1 ^ (coded & 1).wrapping_neg())
}

/// Appends a column of at most 60 values; nothing when there is none.
pub fn put_column(out: &mut Vec<u8>, values: &[u32]) {
    let (Some(&first), Some(&least), Some(&most)) = (values.first(), values.iter().min(), values.iter().max()) else {
        return;
    };
    debug_assert!(values.len() <= MINUTES);
    if least == most {
        return put_constant(out, first);
    }
    let packed_width = width(most - least);
    let packed_len = varint_len(least.into()) + bytes_of(values.len() as u32 * packed_width);

    let steps = values.windows(2).map(|pair| zigzag(pair[1], pair[0]));
    let steps_width = width(steps.clone().max().unwrap_or(0));
    let steps_len = varint_len(first.into()) + bytes_of((values.len() as u32 - 1) * steps_width);

    let common = most_common(values);
    let exceptions = values.iter().filter(|value| **value != common).count() as u32;
    let exception_width = values.iter().map(|value| width(zigzag(*value, common))).max().unwrap_or(0);
    let places = place_bits(exceptions, values.len());
    let sparse_len = 1 + varint_len(common.into()) + bytes_of(places + exceptions * exception_width);

    let smallest = packed_len.min(steps_len).min(sparse_len);
    if packed_len == smallest {
        put_tag(out, PACKED, packed_width);
        put_varint(out, least.into());
        let mut bits = BitWriter::new(out);
        values.iter().for_each(|value| bits.bits(value - least, packed_width));
        bits.end();
    } else if sparse_len == smallest {
        put_tag(out, SPARSE, exceptions);
        out.push(exception_width as u8);
        put_varint(out, common.into());
        put_exceptions(out, values, common, exceptions, exception_width);
    } else {
        put_tag(out, STEPS, steps_width);
        put_varint(out, first.into());
        let mut bits = BitWriter::new(out);
        steps.for_each(|step| bits.bits(step, steps_width));
        bits.end();
    }
}

/// Reads a column of as many values as `values` has room for.
pub fn get_column(from: &mut Reader<'_>, values: &mut [u32]) -> Result<(), PackError> {
    if values.is_empty() {
        return Ok(());
    }
    let tag = from.byte()?;
    let argument = u32::from(tag) & LARGE;
    match tag >> ARGUMENT_BITS {
        CONSTANT => values.fill(if argument == LARGE { from.varint_u32()? } else { argument }),
        PACKED => {
            let bits = checked_width(argument)?;
            let least = from.varint_u32()?;
            for value in values {
                *value = from.bits(bits)?.wrapping_add(least);
            }
        }
        STEPS => {
            let bits = checked_width(argument)?;
            let mut last = from.varint_u32()?;
            let (first, rest) = values.split_first_mut().ok_or(PackError::Truncated)?;
            *first = last;
            for value in rest {
                last = unzigzag(from.bits(bits)?, last);
                *value = last;
            }
        }
        _ => {
            let bits = checked_width(from.byte()?.into())?;
            let common = from.varint_u32()?;
            values.fill(common);
            get_exceptions(from, values, common, argument, bits)?;
        }
    }
    from.end_bits();
    Ok(())
}

fn put_tag(out: &mut Vec<u8>, encoding: u8, argument: u32) {
    out.push(encoding << ARGUMENT_BITS | argument as u8);
}

fn put_constant(out: &mut Vec<u8>, value: u32) {
    put_tag(out, CONSTANT, value.min(LARGE));
    if value >= LARGE {
        put_varint(out, value.into());
    }
}

fn put_exceptions(out: &mut Vec<u8>, values: &[u32], common: u32, exceptions: u32, exception_width: u32) {
    let masked = is_masked(exceptions, values.len());
    let mut bits = BitWriter::new(out);
    for (place, value) in (0..).zip(values) {
        match masked {
            true => bits.bits(u32::from(*value != common), 1),
            false if *value != common => bits.bits(place, PLACE_BITS),
            false => {}
        }
    }
    for value in values.iter().filter(|value| **value != common) {
        bits.bits(zigzag(*value, common), exception_width);
    }
    bits.end();
}

fn get_exceptions(
    from: &mut Reader<'_>,
    values: &mut [u32],
    common: u32,
    exceptions: u32,
    exception_width: u32,
) -> Result<(), PackError> {
    let mut places = [0_usize; MINUTES];
    let mut count = 0;
    let mut put = |place: usize| {
        *places.get_mut(count).ok_or(PackError::Invalid("a number of exceptions"))? = place;
        count += 1;
        Ok(())
    };
    if is_masked(exceptions, values.len()) {
        for place in 0..values.len() {
            if from.bits(1)? == 1 {
                put(place)?;
            }
        }
    } else {
        for _ in 0..exceptions {
            put(from.bits(PLACE_BITS)? as usize)?;
        }
    }
    for place in &places[..count] {
        let value = values.get_mut(*place).ok_or(PackError::Invalid("a place"))?;
        *value = unzigzag(from.bits(exception_width)?, common);
    }
    Ok(())
}

const fn is_masked(exceptions: u32, len: usize) -> bool {
    exceptions * PLACE_BITS > len as u32
}

const fn place_bits(exceptions: u32, len: usize) -> u32 {
    if is_masked(exceptions, len) { len as u32 } else { exceptions * PLACE_BITS }
}

const fn bytes_of(bits: u32) -> usize {
    bits.div_ceil(u8::BITS) as usize
}

const fn checked_width(bits: u32) -> Result<u32, PackError> {
    if bits > u32::BITS { Err(PackError::Invalid("a width")) } else { Ok(bits) }
}

/// The value that is there most often.
fn most_common(values: &[u32]) -> u32 {
    let mut sorted = [0; MINUTES];
    let sorted = &mut sorted[..values.len()];
    sorted.copy_from_slice(values);
    sorted.sort_unstable();
    sorted.chunk_by(|a, b| a == b).max_by_key(|run| run.len()).map_or(0, |run| run[0])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The column comes back, and takes this many bytes.
    #[track_caller]
    fn check(values: &[u32], bytes: usize) {
        let mut out = Vec::new();
        put_column(&mut out, values);
        let mut back = vec![0; values.len()];
        let mut reader = Reader::new(&out);
        get_column(&mut reader, &mut back).unwrap();
        assert_eq!((back.as_slice(), reader.remaining(), out.len()), (values, 0, bytes), "{out:?}");
    }

    #[test]
    fn each_column_takes_its_smallest_encoding() {
        check(&[], 0);
        check(&[7; 60], 1);
        check(&[5_000; 60], 3);
        check(&[u32::MAX; 60], 6);
        let noise: Vec<u32> = (0..60).map(|i| 1_000 + i * 7 % 6).collect();
        check(&noise, 3 + 23);
        let slope: Vec<u32> = (0..60).map(|i| i * 1_000).collect();
        check(&slope, 2 + 82);
        let mut spike = [0; 60];
        spike[17] = 900;
        check(&spike, 3 + 3);
        let mut half = [0; 60];
        half.iter_mut().step_by(3).for_each(|value| *value = 100);
        check(&half, 3 + 28);
        check(&[0, u32::MAX], 2 + 1);
    }

    #[test]
    fn zigzag_is_small_both_ways() {
        assert_eq!([zigzag(5, 5), zigzag(4, 5), zigzag(6, 5), zigzag(u32::MAX, 0)], [0, 1, 2, 1]);
        assert_eq!(unzigzag(zigzag(3, u32::MAX), u32::MAX), 3);
    }
}
