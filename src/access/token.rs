//! API keys as they are presented: `hwm_<role>_<id>_<secret>_<checksum>`, so that people and secret scanners see what one
//! is, and a slip of the hand is told from a wrong key before anything is looked up.

use crate::access::{Role, Secret};

/// What every API key begins with.
pub const PREFIX: &str = "hwm_";
/// Letters of a key's id.
pub const ID_LETTERS: usize = 10;
/// Letters of its secret: 256 bits in base 62.
pub const SECRET_LETTERS: usize = 43;
/// Letters of its checksum: CRC-32 of all before it, in base 62.
const CHECKSUM_LETTERS: usize = 6;
/// Random bytes that an id is made of: more than it has letters for.
pub const ID_BYTES: usize = 8;
/// Random bytes that a secret is made of.
pub const SECRET_BYTES: usize = 32;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An API key that was read; whether it is one of ours is not known.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'t> {
    pub role: Role,
    pub id: &'t str,
    pub secret: PresentedSecret<'t>,
}

/// The secret part of what was presented.
#[derive(Clone, Copy)]
pub struct PresentedSecret<'t>(pub &'t [u8]);

impl std::fmt::Debug for PresentedSecret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// A new id out of random bytes.
pub fn id(random: [u8; ID_BYTES]) -> String {
    letters::<ID_LETTERS>(&random)
}

/// A new secret out of random bytes.
pub fn secret(random: &Secret<[u8; SECRET_BYTES]>) -> Secret<String> {
    Secret::new(letters::<SECRET_LETTERS>(random.expose()))
}

/// The whole key, as its owner is told once.
pub fn spell(role: Role, id: &str, secret: &Secret<String>) -> Secret<String> {
    let body = format!("{PREFIX}{role}_{id}_{}", secret.expose());
    let checksum = checksum(body.as_bytes());
    Secret::new(format!("{body}_{checksum}"))
}

/// Reads what was presented.
///
/// # Errors
/// What is wrong with its form, in words that hold nothing of it.
pub fn read(text: &str) -> Result<Presented<'_>, &'static str> {
    let body = text.strip_prefix(PREFIX).ok_or("it does not begin with hwm_")?;
    let mut parts = body.split('_');
    let (Some(role), Some(id), Some(secret), Some(check), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("it does not have the four parts of an API key");
    };
    let is_spelled =
        |part: &str, letters: usize| part.len() == letters && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_spelled(id, ID_LETTERS) || !is_spelled(secret, SECRET_LETTERS) || !is_spelled(check, CHECKSUM_LETTERS) {
        return Err("a part of it is too short or too long: it was cut off, or two were joined");
    }
    // Said of every other slip, in the name of the role too.
    let wrong = "its checksum does not fit: a letter was changed";
    if checksum(&text.as_bytes()[..text.len() - CHECKSUM_LETTERS - 1]) != check {
        return Err(wrong);
    }
    let role = role.parse().map_err(|_| wrong)?;
    Ok(Presented { role, id, secret: PresentedSecret(secret.as_bytes()) })
}

fn checksum(bytes: &[u8]) -> String {
    letters::<CHECKSUM_LETTERS>(&crc32fast::hash(bytes).to_be_bytes())
}

/// A number of big-endian bytes in base 62, its last `LETTERS` digits.
fn letters<const LETTERS: usize>(bytes: &[u8]) -> String {
    let mut number = Secret::new(bytes.to_vec());
    let mut digits = [0; LETTERS];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0;
        for byte in &mut number.0 {
            let value = rest << 8 | u32::from(*byte);
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        *digit = ALPHABET[rest as usize];
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn example() -> Secret<String> {
        spell(Role::Worker, &id([7; ID_BYTES]), &secret(&Secret::new([9; SECRET_BYTES])))
    }

    #[test]
    fn a_key_is_read_as_it_was_spelled() {
        let key = example();
        let read = read(key.expose()).unwrap();
        assert_eq!((read.role, read.id.len(), read.secret.0.len()), (Role::Worker, ID_LETTERS, SECRET_LETTERS));
        assert!(key.expose().starts_with("hwm_worker_"), "secret scanners know it by its beginning");
        assert!(!format!("{read:?}").contains(str::from_utf8(read.secret.0).unwrap()));
    }

    #[test]
    fn every_slip_of_one_letter_is_seen() {
        let key = example();
        for at in PREFIX.len()..key.expose().len() {
            let mut letters = key.expose().clone().into_bytes();
            letters[at] = if letters[at] == b'x' { b'y' } else { b'x' };
            assert!(read(str::from_utf8(&letters).unwrap()).is_err(), "letter {at}");
        }
        for cut in 0..key.expose().len() {
            assert!(read(&key.expose()[..cut]).is_err());
        }
        for wrong in ["", "hwm_", "hwm_worker___", &format!("{}_", key.expose()), "hwm_ü_"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_hold_all_their_bits() {
        let most = secret(&Secret::new([0xff; SECRET_BYTES]));
        let least = secret(&Secret::new([0; SECRET_BYTES]));
        assert!(!most.expose().starts_with('0'), "62^43 is above 2^256, and not by much");
        assert_eq!(least.expose(), &"0".repeat(SECRET_LETTERS));
        assert_eq!(letters::<3>(&[61]), "00z");
        assert_eq!(letters::<3>(&62_u16.to_be_bytes()), "010");
    }
}
