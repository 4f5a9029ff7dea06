//! What must not be shown: a value that says nothing of itself, and is wiped from memory when it goes.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize;

/// A secret. It has no `Display`, its `Debug` says only that it is one, and it is no part of any encoding.
pub struct Secret<T: Zeroize>(pub(super) T);

impl<T: Zeroize> Secret<T> {
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Takes the same time wherever they differ.
impl PartialEq for Secret<Vec<u8>> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret<Vec<u8>> {}

impl From<&str> for Secret<Vec<u8>> {
    fn from(secret: &str) -> Self {
        Self::new(secret.as_bytes().to_vec())
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_says_nothing_of_itself() {
        let secret = Secret::new("correct horse".to_owned());
        assert_eq!((format!("{secret:?}").as_str(), secret.expose().as_str()), ("[secret]", "correct horse"));
    }
}
